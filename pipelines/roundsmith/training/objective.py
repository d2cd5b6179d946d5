"""What differs between objectives: which rows they read, as which tokens, and the trainer."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from roundsmith.store import RowKind

if TYPE_CHECKING:
    from roundsmith.training.coder import Coder
    from roundsmith.training.kept import Kept

TokenRow = Mapping[str, Any]
"""One row of tokens by column."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective; each has a module of its own, whose OBJECTIVE this is."""

    kind: RowKind[Any]
    """The rows that it reads."""
    columns: Mapping[str, Literal["ids", "label", "text"]]
    """Of its token rows: lists of token ids, a bool, or text."""
    encode: "Callable[[Coder, Any], Iterator[TokenRow]]"
    """The token rows of one row; their longest sequence is what `max_length` bounds."""
    arguments: Callable[..., Any]
    """The job in TRL's words, from `settings.common` on; steps and batches come with the plan."""
    build: "Callable[..., Kept]"
    """A trainer over the plan's rows, ready to run."""
    prompts_alone: bool = False
    """Whether a row is a prompt of which the trainer draws `generations` completions itself, so
    that a step has so many times fewer rows.
    """
    by_length: bool = True
    """Whether rows of like length may share a forward pass; it changes nothing but speed."""
    least_rows: int = 1
    """Of a forward pass of one process, however few a job asks for."""
