"""Work on a GPU that the host does not launch kernel by kernel, nor wait for."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CHECKED = 2
"""So many replays of a graph are computed anew."""
logger = logging.getLogger(__name__)


class Graph:
    """What a function did on a GPU once, to be done again with what lies in the tensors that it
    read, into those that it gave. Replays of one pool follow each other on one stream: what one
    gave is read before the next is replayed.
    """

    def __init__(
        self, run: Callable[[], torch.Tensor], device: torch.device, pool: Any = None
    ) -> None:
        """Runs it three times. `pool` is torch's handle of memory that graphs share.

        Raises RuntimeError where it can not be captured: it waits for the device, say.
        """
        stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.device(device), torch.cuda.stream(stream):
            self._graph = torch.cuda.CUDAGraph()
            for _ in range(2):  # what is made at the first run is not of the graph
                run()
            torch.cuda.synchronize(device)
            torch.cuda.empty_cache()  # what is cached is not given back while it is captured
            self._graph.capture_begin(pool=pool, capture_error_mode="thread_local")
            try:
                self._given = run()
            finally:
                self._graph.capture_end()
        torch.cuda.current_stream(device).wait_stream(stream)

    def replay(self) -> torch.Tensor:
        """What the function gives, which the next replay may overwrite."""
        self._graph.replay()
        return self._given


def captured(
    what: str, run: Callable[[], torch.Tensor], device: torch.device, pool: Any = None
) -> Graph | None:
    """The graph of a function; None, and a line in the log, where there can be none."""
    if device.type != "cuda":
        return None
    try:
        return Graph(run, device, pool)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        logger.info("%s are not replayed as a graph: %s", what, error)
        return None


@dataclass(slots=True)
class _Replay:
    """A graph, what it reads, and how often what it gave was computed anew."""

    held: tuple[torch.Tensor, ...]
    graph: Graph
    checked: int = 0


class Replays:
    """Functions of tensors, each replayed as a graph where it can be. Not safe for several
    threads.

    The first two replays of a graph are computed kernel by kernel too: where a bit differs, none is
    replayed from then on; nor where the memory of one more can not be had, which the others give
    back.
    """

    def __init__(self, what: str, device: torch.device, most: int = 8) -> None:
        """`what` they compute, for the log; the `most` graphs that were replayed last are kept."""
        self._what, self._device, self._most = what, device, most
        self._graphs: OrderedDict[Hashable, _Replay] = OrderedDict()
        self._pool: Any = torch.cuda.graph_pool_handle() if device.type == "cuda" else None
        self.work = True
        """Whether there can be graphs, as far as is known."""

    def run(
        self, key: Hashable, compute: Callable[..., torch.Tensor], *given: torch.Tensor
    ) -> torch.Tensor:
        """`compute(*given)`, which the next call may overwrite. Calls of one key differ in nothing
        but the numbers in what is given; computing twice does no more than once.
        """
        found = self._found(key, compute, given) if self.work else None
        if found is None:
            return compute(*given)
        replayed = found.graph.replay()
        if found.checked == _CHECKED:
            return replayed
        found.checked += 1
        replayed = replayed.clone()
        expected = compute(*given)
        if not torch.equal(replayed, expected):
            logger.warning("%s differ when replayed as a graph: computed anew", self._what)
            self.work = False
            self._graphs.clear()
        return expected

    def _found(
        self, key: Hashable, compute: Callable[..., torch.Tensor], given: tuple[torch.Tensor, ...]
    ) -> _Replay | None:
        """The graph of a key, which reads what is given."""
        found = self._graphs.get(key)
        if found is not None:
            for mine, new in zip(found.held, given, strict=True):
                mine.copy_(new)
            self._graphs.move_to_end(key)
            return found
        while len(self._graphs) >= self._most:
            self._graphs.popitem(last=False)
        held = tuple(tensor.clone() for tensor in given)
        try:
            graph = captured(self._what, lambda: compute(*held), self._device, self._pool)
        except torch.OutOfMemoryError as error:
            logger.warning("no memory for graphs of %s: %s", self._what, error)
            graph = None
        if graph is None:
            self.work = False
            self._graphs.clear()
            return None
        self._graphs[key] = made = _Replay(held, graph)
        return made


def on_device(numbers: "NDArray[np.int64]", device: torch.device) -> torch.Tensor:
    """Numbers on their way to a device, which the host does not wait for."""
    here = torch.from_numpy(numbers)
    if device.type != "cuda":
        return here.to(device)
    return here.pin_memory().to(device, non_blocking=True)


class OnHost:
    """A tensor on its way from a device."""

    def __init__(self, there: torch.Tensor) -> None:
        """It may be overwritten afterwards."""
        self._here = there
        self._there: torch.cuda.Event | None = None
        if there.device.type == "cuda":
            self._here = torch.empty(there.shape, dtype=there.dtype, pin_memory=True)
            self._here.copy_(there, non_blocking=True)
            self._there = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch's
            self._there.record(torch.cuda.current_stream(there.device))

    def numbers(self) -> list[Any]:
        """Waits for it."""
        if self._there is not None:
            self._there.synchronize()
        found: list[Any] = self._here.tolist()
        return found
