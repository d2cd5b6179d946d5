"""Texts as chains of tokens, and what one forward pass does of them.

A prompt is a chain, and each of its completions is one that follows it; so what many completions
share is computed once.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from roundsmith.scorer.varlen import Places

    KeysAndValues = tuple[torch.Tensor, torch.Tensor]


@dataclass(eq=False, slots=True)
class Chain:
    """Tokens that follow those of `parent`. `kept` has by layer the keys and values of all that
    was computed so far, of a chain that goes on or is followed; the parent's are in front. Where
    they lie in blocks, `places` says where, part by part, without the parent's.
    """

    ids: tuple[int, ...]
    parent: "Chain | None" = None
    followed: bool = False
    planned: int = 0
    """How many of the tokens are computed, or will be by the pass that was made last."""
    kept: "dict[int, KeysAndValues]" = field(default_factory=dict)
    places: "list[Places]" = field(default_factory=list)
    num_bytes: int = 0
    """Of what is kept, when it was counted last."""

    @property
    def before(self) -> int:
        """Tokens in front of the chain."""
        return 0 if self.parent is None else len(self.parent.ids)

    @property
    def left(self) -> int:
        """Tokens that are in no pass yet."""
        return len(self.ids) - self.planned

    def before_this(self, layer: int) -> "KeysAndValues | None":
        """Keys and values in front of what is computed next, where there are any."""
        found = self.kept.get(layer)
        if found is None and self.parent is not None:
            return self.parent.kept[layer]
        return found

    def places_before(self) -> "list[Places]":
        """Where keys and values lie in front of what is computed next, in their order."""
        return self.places if self.parent is None else [*self.parent.places, *self.places]

    def count_bytes(self) -> int:
        """By how much `num_bytes` grows when what is kept now is counted."""
        counted = self.num_bytes
        self.num_bytes = sum(part.nbytes for pair in self.kept.values() for part in pair)
        self.num_bytes += sum(places.num_bytes for places in self.places)
        return self.num_bytes - counted


@dataclass(frozen=True, slots=True)
class Run:
    """Tokens `start` to `stop` of a chain, at place `at` of a pass."""

    chain: Chain
    start: int
    stop: int
    at: int

    @property
    def keeps(self) -> bool:
        """Whether something that comes later needs its keys and values."""
        return self.chain.followed or self.stop < len(self.chain.ids)
