"""Between text and token ids: prompts in, completions out."""

from collections.abc import Sequence
from typing import Any

from roundsmith.errors import ConfigError, TooLong
from roundsmith.types import ChatMessage, Prompt

_FIRST_CHARACTERS, _HOPELESS = 8, 2
"""For each token of a context: how much of a long text is read first, and with how many tokens that
ends it. What follows a begin changes how its last word is cut, not half of its tokens."""
_ROLES = ("system", "user", "assistant")
"""Many a template writes any other word into the text, as if the model knew it."""


def render(
    tokenizer: Any, prompt: Prompt, vocabulary: int, context_tokens: int | None = None
) -> list[int]:
    """The token ids of a prompt.

    Text gets the tokenizer's own special tokens, ids stay as they are, messages go through the chat
    template, whose last turn is continued when it is the assistant's. Raises ConfigError when
    nothing comes out, an id is outside the vocabulary, a role is none that there is, or there is no
    template that takes the messages; and TooLong for what can not fit the context, where one is
    given, of which no more is read than shows that. A prompt that is little too long is for the
    caller to refuse.
    """
    if isinstance(prompt, str):
        ids = _tokens(tokenizer, prompt, context_tokens, special=True)
    elif prompt and isinstance(prompt[0], ChatMessage):
        messages = [m for m in prompt if isinstance(m, ChatMessage)]
        text = _render_chat(tokenizer, messages)
        ids = _tokens(tokenizer, text, context_tokens, special=False)
    else:
        if context_tokens is not None and len(prompt) > _HOPELESS * context_tokens:
            raise TooLong(
                f"{len(prompt)} token ids: expected at most the context of {context_tokens}: "
                "shorten them"
            )
        ids = [i for i in prompt if isinstance(i, int)]
    if not ids:
        raise ConfigError(
            "empty prompt: saw no tokens, expected at least one: give a prompt with some text"
        )
    check_ids(ids, vocabulary)
    return ids


def check_ids(ids: Sequence[int], vocabulary: int) -> None:
    """Raises ConfigError when an id is not in [0, vocabulary)."""
    if ids and (min(ids) < 0 or max(ids) >= vocabulary):
        bad = next(i for i in ids if not 0 <= i < vocabulary)
        raise ConfigError(
            f"token id {bad}: expected ids from 0 to {vocabulary - 1}: tokenize with the "
            "tokenizer of the served model"
        )


def _render_chat(tokenizer: Any, messages: list[ChatMessage]) -> str:
    from jinja2 import TemplateError

    if tokenizer.chat_template is None:
        raise ConfigError(
            "chat messages, but the model's tokenizer has no chat template: "
            "expected a plain text prompt, or a model that carries a template"
        )
    for at, message in enumerate(messages):
        if message.role not in _ROLES:
            raise ConfigError(
                f"messages[{at}].role: saw {message.role!r}, expected system, user or assistant"
            )
    goes_on = messages[-1].role == "assistant"
    try:
        return str(
            tokenizer.apply_chat_template(
                [{"role": m.role, "content": m.content} for m in messages],
                add_generation_prompt=not goes_on,
                continue_final_message=goes_on,
                tokenize=False,
            )
        )
    except (TemplateError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ConfigError(
            f"the model's chat template refused the messages ({error}): roles seen: "
            f"{[m.role for m in messages]}; expected an order of turns that this template takes"
        ) from error


def encode(tokenizer: Any, text: str, context_tokens: int | None = None) -> list[int]:
    """The ids of `text` alone, without special tokens; TooLong as `render` raises it."""
    return _tokens(tokenizer, text, context_tokens, special=False)


def encode_all(
    tokenizer: Any, texts: Sequence[str], context_tokens: int, *, special: bool
) -> dict[str, list[int]]:
    """The ids of many texts, tokenized side by side, with special tokens or without. Those that may
    be too long for the context are left out.
    """
    short = [
        text for text in dict.fromkeys(texts) if len(text) <= _FIRST_CHARACTERS * context_tokens
    ]
    if not short:
        return {}
    found = tokenizer(short, add_special_tokens=special)["input_ids"]
    return dict(zip(short, map(list, found), strict=True))


def _tokens(tokenizer: Any, text: str, context_tokens: int | None, *, special: bool) -> list[int]:
    """The ids of a text. Tokenizing millions of characters would take the time of all others, so a
    long text is read by begins that double until one shows that it can not fit.
    """
    if context_tokens is not None:
        length = _FIRST_CHARACTERS * context_tokens
        while length < len(text):
            begin = tokenizer(text[:length], add_special_tokens=False)["input_ids"]
            if len(begin) > _HOPELESS * context_tokens:
                raise TooLong(
                    f"text of {len(text)} characters: expected one that fits the context of "
                    f"{context_tokens} tokens, saw {len(begin)} in its first {length}: shorten it"
                )
            length *= 2
    return list(tokenizer(text, add_special_tokens=special)["input_ids"])


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of `ids`, special tokens left out."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:  # ten times faster than the wrapper; this runs once a token
        return str(backend.decode(list(ids), skip_special_tokens=True))
    return str(
        tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    )
