"""From an item to a row of a forward pass: which tokens go in, and which logits are read where."""

from dataclasses import dataclass

from roundsmith.errors import ConfigError, TooLong
from roundsmith.models.loading import LoadedModel
from roundsmith.models.rendering import check_ids, encode
from roundsmith.types import ScoreItem

SPELLINGS = ("{}", " {}")
"""How Yes and No are looked for: as they are, then with a space before."""


@dataclass(frozen=True, slots=True)
class Row:
    """Tokens in, and for each position from `first` on the pair of token ids whose logits are read.

    For a completion both of a pair are the token that follows; for p_yes they are Yes and No.
    """

    inputs: tuple[int, ...]
    first: int
    picks: tuple[tuple[int, int], ...]
    p_yes: bool


def row_of(item: ScoreItem, loaded: LoadedModel) -> Row:
    """The row that answers an item. The completion is tokenized apart from the prompt.

    Raises TooLong when it does not fit the context, and ConfigError when there is nothing to score
    or there is no end token, Yes or No to score.
    """
    prompt = loaded.render(item.prompt)
    if item.p_yes:
        row = Row(tuple(prompt), len(prompt) - 1, (yes_and_no(loaded),), True)
    else:
        targets = _completion_ids(item, loaded)
        inputs = (*prompt, *targets[:-1])
        row = Row(inputs, len(prompt) - 1, tuple((t, t) for t in targets), False)
    if len(row.inputs) > loaded.context_tokens:
        raise TooLong(
            f"{len(row.inputs)} tokens of prompt and completion: expected at most the context of "
            f"{loaded.context_tokens}: shorten them"
        )
    return row


def _completion_ids(item: ScoreItem, loaded: LoadedModel) -> list[int]:
    completion = item.completion
    ids = encode(loaded.tokenizer, completion) if isinstance(completion, str) else list(completion)
    check_ids(ids, loaded.vocabulary)
    if item.end:
        if loaded.end_id is None:
            raise ConfigError("end: the model has no end token, expected one: ask with end=False")
        ids.append(loaded.end_id)
    if not ids:
        raise ConfigError("empty completion: saw no token, expected some text, or end=True")
    return ids


def yes_and_no(loaded: LoadedModel) -> tuple[int, int]:
    """The ids of Yes and No, in the first spelling in which both are one token."""
    seen: list[str] = []
    for spelling in SPELLINGS:
        yes, no = (encode(loaded.tokenizer, spelling.format(word)) for word in ("Yes", "No"))
        if len(yes) == len(no) == 1:
            return yes[0], no[0]
        seen.append(f"{spelling.format('Yes')!r} -> {yes}, {spelling.format('No')!r} -> {no}")
    raise ConfigError(
        f"p_yes: saw {'; '.join(seen)}, expected single tokens for Yes and No: this tokenizer "
        "cannot be asked"
    )
