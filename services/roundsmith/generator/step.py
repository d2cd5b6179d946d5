"""A decode step of all slots: the model run once or, on a GPU, replayed as a graph, so that the
host does not launch every kernel anew.

Axes: S slots, V vocabulary.
"""

import logging
from collections.abc import Sequence
from typing import Any

import torch

from roundsmith.generator.flash_cache import FlashCache
from roundsmith.models.loading import LoadedModel

logger = logging.getLogger(__name__)


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
        stream: Any = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch's
        stream.wait_stream(torch.cuda.current_stream(self._device))
        try:
            with torch.cuda.device(self._device), torch.cuda.stream(stream):
                graph = torch.cuda.CUDAGraph()
                for _ in range(2):  # what is made at the first run is not of the graph
                    self._forward(cache, tokens_S, cache.positions_S, given)
                torch.cuda.synchronize(self._device)
                graph.capture_begin(capture_error_mode="thread_local")
                try:
                    logits_SV = self._forward(cache, tokens_S, cache.positions_S, given)
                finally:
                    graph.capture_end()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._graphs_work = False
            logger.info("decode steps are not replayed as a graph: %s", error)
            return None
        torch.cuda.current_stream(self._device).wait_stream(stream)
        return _Graph(graph, cache.capacity, tokens_S, logits_SV, given)


class _Graph:
    """A captured step, and the tensors that it reads and writes."""

    def __init__(
        self,
        graph: torch.cuda.CUDAGraph,
        capacity: int,
        tokens_S: torch.Tensor,
        logits_SV: torch.Tensor,
        given: dict[str, Any],
    ) -> None:
        self._graph, self.capacity = graph, capacity
        self._tokens_S, self._logits_SV, self._given = tokens_S, logits_SV, given

    def replay(self, tokens: Sequence[int]) -> torch.Tensor:
        """The logits after each slot's token; places are those of the cache."""
        self._tokens_S.copy_(torch.tensor(tokens))
        self._graph.replay()
        return self._logits_SV
