"""A decode step of all slots: the model run once or, on a GPU, replayed as a graph, so that the
host does not launch every kernel anew.

Axes: S slots, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import torch

from roundsmith.generator.flash_cache import FlashCache
from roundsmith.models.graphs import Graph, captured
from roundsmith.models.loading import LoadedModel


class Step:
    """Runs a model for one token a slot. Not safe for several threads."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._model, self._device = loaded.model, loaded.device
        self._graph: _Graph | None = None
        self._graphs_work = True

    def run(
        self, cache: Any, tokens: Sequence[int], lengths: Sequence[int], plain: bool
    ) -> torch.Tensor:
        """The logits after each slot's token, [S, V] in float32, which the next step may
        overwrite; `plain` is a step that no graph holds.
        """
        given = cache.step(lengths)
        if not isinstance(cache, FlashCache) or plain or not self._graphs_work:
            tokens_S = torch.tensor(tokens, device=self._device)
            positions_S = torch.tensor(lengths, device=self._device)
            return self._forward(cache, tokens_S, positions_S, given)
        if self._graph is None or self._graph.capacity != cache.capacity:
            self._graph = self._captured(cache, tokens, given)
            if self._graph is None:
                return self.run(cache, tokens, lengths, plain=True)
        return self._graph.replay(tokens)

    def _forward(
        self, cache: Any, tokens_S: torch.Tensor, positions_S: torch.Tensor, given: dict[str, Any]
    ) -> torch.Tensor:
        logits: torch.Tensor = self._model(
            input_ids=tokens_S[:, None],
            position_ids=positions_S[:, None],
            past_key_values=cache,
            use_cache=True,
            **given,
        ).logits
        return logits[:, -1].float()

    def _captured(
        self, cache: FlashCache, tokens: Sequence[int], given: dict[str, Any]
    ) -> "_Graph | None":
        """The graph of a step of this capacity; None where the model can not be captured."""
        self._graph = None  # its memory first
        tokens_S = torch.tensor(tokens, device=self._device)
        graph = captured(
            "decode steps",
            lambda: self._forward(cache, tokens_S, cache.positions_S, given),
            self._device,
        )
        self._graphs_work = graph is not None
        return None if graph is None else _Graph(graph, cache.capacity, tokens_S, given)


class _Graph:
    """A captured step, and the tensors that it reads."""

    def __init__(
        self, graph: Graph, capacity: int, tokens_S: torch.Tensor, given: dict[str, Any]
    ) -> None:
        self._graph, self.capacity = graph, capacity
        self._tokens_S, self._given = tokens_S, given

    def replay(self, tokens: Sequence[int]) -> torch.Tensor:
        """The logits after each slot's token; places are those of the cache."""
        self._tokens_S.copy_(torch.tensor(tokens))
        return self._graph.replay()
