"""Passes through the flash kernel: the model replayed as a graph, of which there is one for each
sizes that the attention is told. Axes: T places of a pass, D width.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from roundsmith.models.graphs import Replays, on_device
from roundsmith.scorer.chains import Run
from roundsmith.scorer.varlen import KeptKeys, Layout, VarlenAttention

if TYPE_CHECKING:
    from numpy.typing import NDArray

Model = Callable[..., torch.Tensor]
"""The last hidden states, [T, D], of ids [1, T], given `position_ids` [1, T] and `packed`."""


class Replayed:
    """The model of a scorer on a GPU. Not safe for several threads."""

    def __init__(self, model: Model, block: int, device: torch.device) -> None:
        """What fills a pass up are texts of `block` tokens."""
        self._model, self._block, self._device = model, block, device
        self._kept = KeptKeys()
        self._replays = Replays("passes", device)
        self._given: dict[int, torch.Tensor] = {}
        """What passes of T places give, by T."""

    def hidden(self, runs: Sequence[Run], both_2T: "NDArray[np.int64]") -> torch.Tensor:
        """The last hidden states of the ids and positions of a pass, [T, D], which the next pass
        overwrites.
        """
        tokens = both_2T.shape[1]
        layout = Layout(runs, tokens, self._block, self._kept)
        sizes = layout.sizes
        self._kept.make_room()

        def run(numbers: torch.Tensor) -> torch.Tensor:
            ids_T, positions_T, rest = torch.split(
                numbers, [tokens, tokens, len(numbers) - 2 * tokens]
            )
            packed = VarlenAttention(rest, sizes, tokens, self._kept)
            found_TD = self._model(ids_T[None], position_ids=positions_T[None], packed=packed)
            if tokens not in self._given:
                self._given[tokens] = torch.empty_like(found_TD)
            return self._given[tokens].copy_(found_TD)

        numbers = on_device(np.concatenate([both_2T.ravel(), layout.numbers]), self._device)
        moved = self._kept.num_places if sizes.kept or sizes.read else 0
        return self._replays.run((tokens, sizes, moved), run, numbers)
