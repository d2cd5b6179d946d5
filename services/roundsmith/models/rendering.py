"""Between text and token ids: prompts in, completions out."""

from collections.abc import Sequence
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.types import ChatMessage, Prompt


def render(tokenizer: Any, prompt: Prompt, vocabulary: int) -> list[int]:
    """The token ids of a prompt.

    Text gets the tokenizer's own special tokens, ids stay as they are, messages go through the chat
    template, whose last turn is continued when it is the assistant's. Raises ConfigError when
    nothing comes out, an id is outside the vocabulary, or there is no template that takes the
    messages.
    """
    if isinstance(prompt, str):
        ids = list(tokenizer(prompt)["input_ids"])
    elif prompt and isinstance(prompt[0], ChatMessage):
        ids = _render_chat(tokenizer, [m for m in prompt if isinstance(m, ChatMessage)])
    else:
        ids = [i for i in prompt if isinstance(i, int)]
    if not ids:
        raise ConfigError(
            "empty prompt: saw no tokens, expected at least one: give a prompt with some text"
        )
    check_ids(ids, vocabulary)
    return ids


def check_ids(ids: Sequence[int], vocabulary: int) -> None:
    """Raises ConfigError when an id is not in [0, vocabulary)."""
    bad = next((i for i in ids if not 0 <= i < vocabulary), None)
    if bad is not None:
        raise ConfigError(
            f"token id {bad}: expected ids from 0 to {vocabulary - 1}: tokenize with the "
            "tokenizer of the served model"
        )


def _render_chat(tokenizer: Any, messages: list[ChatMessage]) -> list[int]:
    from jinja2 import TemplateError

    if tokenizer.chat_template is None:
        raise ConfigError(
            "chat messages, but the model's tokenizer has no chat template: "
            "expected a plain text prompt, or a model that carries a template"
        )
    goes_on = messages[-1].role == "assistant"
    try:
        ids = tokenizer.apply_chat_template(
            [{"role": m.role, "content": m.content} for m in messages],
            add_generation_prompt=not goes_on,
            continue_final_message=goes_on,
            return_dict=False,
        )
    except (TemplateError, ValueError) as error:
        raise ConfigError(
            f"the model's chat template refused the messages ({error}): roles seen: "
            f"{[m.role for m in messages]}; expected an order of turns that this template takes"
        ) from error
    return list(ids)


def encode(tokenizer: Any, text: str) -> list[int]:
    """The ids of `text` alone, without special tokens."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of `ids`, special tokens left out."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:  # ten times faster than the wrapper; this runs once a token
        return str(backend.decode(list(ids), skip_special_tokens=True))
    return str(
        tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    )
