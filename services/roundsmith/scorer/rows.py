"""From an item to a row: which tokens go in, and what is read where."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from roundsmith.errors import ConfigError, TooLong
from roundsmith.models.loading import LoadedModel
from roundsmith.models.rendering import check_ids, encode, encode_all
from roundsmith.types import ScoreItem

SPELLINGS = ("{}", " {}")
"""How Yes and No are looked for: as they are, then with a space before."""
MAX_TOP_K = 8192
"""The most likely logits are kept side by side for every position of a chunk, in float32: as many
as a slice of the vocabulary has.
"""


@dataclass(frozen=True, slots=True)
class Question:
    """The tokens that are read as an answer, and among how many of the most likely; 0 is all.

    `stand_in` is read where No is not among them: As, with which a model begins to evade. It is No
    again where As is no single token, or all tokens are looked at.
    """

    yes: int
    no: int
    stand_in: int
    top_k: int


@dataclass(frozen=True, slots=True)
class Row:
    """The prompt but its last token, and what goes in after it: that token, then the completion
    but its last.

    `prefix` is the same for all completions of a prompt. `targets` are the tokens that follow each
    of `inputs`; a row with a question has none, and is read after its one input.
    """

    prefix: tuple[int, ...]
    inputs: tuple[int, ...]
    targets: tuple[int, ...] = ()
    question: Question | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What of some items was found together: ids of texts, and questions by their top k."""

    prompts: dict[str, list[int]] = field(default_factory=dict)
    completions: dict[str, list[int]] = field(default_factory=dict)
    questions: dict[int, Question] = field(default_factory=dict)


def rows_of(items: Sequence[ScoreItem], loaded: LoadedModel) -> list[Row | ConfigError]:
    """The rows that answer items, whose texts are tokenized together, or why one has none: as
    `row_of` raises it.
    """
    prompts = [item.prompt for item in items if isinstance(item.prompt, str)]
    completions = [item.completion for item in items if isinstance(item.completion, str)]
    most = loaded.context_tokens
    known = _Known(
        encode_all(loaded.tokenizer, prompts, most, special=True),
        encode_all(loaded.tokenizer, completions, most, special=False),
    )
    found: list[Row | ConfigError] = []
    for item in items:
        try:
            found.append(_row(item, loaded, known))
        except ConfigError as error:
            found.append(error)
    return found


def row_of(item: ScoreItem, loaded: LoadedModel) -> Row:
    """The row that answers an item. The completion is tokenized apart from the prompt.

    Raises TooLong when it does not fit the context, and ConfigError when there is nothing to score
    or there is no end token, Yes or No to score.
    """
    return _row(item, loaded, _Known())


def _row(item: ScoreItem, loaded: LoadedModel, known: _Known) -> Row:
    prompt = known.prompts.get(item.prompt) if isinstance(item.prompt, str) else None
    prompt = prompt or loaded.render(item.prompt)
    check_ids(prompt, loaded.vocabulary)
    prefix, last = tuple(prompt[:-1]), prompt[-1]
    if item.p_yes:
        if (question := known.questions.get(item.p_yes_top_k)) is None:
            question = known.questions[item.p_yes_top_k] = _question(loaded, item.p_yes_top_k)
        row = Row(prefix, (last,), question=question)
    else:
        if item.p_yes_top_k:
            raise ConfigError(
                f"p_yes_top_k: saw {item.p_yes_top_k} for a completion, expected it with p_yes "
                "alone: ask for p_yes, or leave it out"
            )
        targets = _completion_ids(item, loaded, known)
        row = Row(prefix, (last, *targets[:-1]), tuple(targets))
    if (length := len(row.prefix) + len(row.inputs)) > loaded.context_tokens:
        raise TooLong(
            f"{length} tokens of prompt and completion: expected at most the context of "
            f"{loaded.context_tokens}: shorten them"
        )
    return row


def _completion_ids(item: ScoreItem, loaded: LoadedModel, known: _Known) -> list[int]:
    completion, most = item.completion, loaded.context_tokens
    if isinstance(completion, str):
        found = known.completions.get(completion)
        ids = encode(loaded.tokenizer, completion, most) if found is None else list(found)
    else:
        ids = list(completion)
    check_ids(ids, loaded.vocabulary)
    if item.end:
        if loaded.end_id is None:
            raise ConfigError("end: the model has no end token, expected one: ask with end=False")
        ids.append(loaded.end_id)
    if not ids:
        raise ConfigError("empty completion: saw no token, expected some text, or end=True")
    return ids


def _question(loaded: LoadedModel, top_k: int) -> Question:
    """Yes and No in the first spelling in which both are one token, and As in the same one. As many
    tokens as the vocabulary has are all of them, of which none is hidden.
    """
    top_k = top_k if top_k < loaded.vocabulary else 0
    if top_k > MAX_TOP_K:
        raise ConfigError(
            f"p_yes_top_k: saw {top_k}, expected at most {MAX_TOP_K}, or 0 for all tokens"
        )
    seen: list[str] = []
    for spelling in SPELLINGS:
        yes, no, stand_in = (
            encode(loaded.tokenizer, spelling.format(word)) for word in ("Yes", "No", "As")
        )
        if len(yes) == len(no) == 1:
            replaced = top_k > 0 and len(stand_in) == 1
            return Question(yes[0], no[0], stand_in[0] if replaced else no[0], top_k)
        seen.append(f"{spelling.format('Yes')!r} -> {yes}, {spelling.format('No')!r} -> {no}")
    raise ConfigError(
        f"p_yes: saw {'; '.join(seen)}, expected single tokens for Yes and No: this tokenizer "
        "cannot be asked"
    )
