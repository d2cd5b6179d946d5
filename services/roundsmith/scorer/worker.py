"""The thread that owns the model: it takes what waits, pass by pass, and answers each item."""

import math
import time
from collections import deque
from typing import ClassVar

from roundsmith.errors import ConfigError, EngineError, RoundsmithError
from roundsmith.models.loading import LoadedModel
from roundsmith.models.thread import ModelThread
from roundsmith.scorer.alone import OneByOne
from roundsmith.scorer.forward import Forward
from roundsmith.scorer.metrics import ScorerMetrics
from roundsmith.scorer.packing import Packing, Pass, Waiting, Work
from roundsmith.scorer.rows import row_of
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import Score


class Worker(ModelThread[Waiting]):
    """The queue, what of it is tokenized and packed, and the model."""

    _smaller: ClassVar[str] = "smaller numbers (--dtype bfloat16; of a run: dtype under [services])"

    def __init__(self, loaded: LoadedModel, settings: ScorerSettings) -> None:
        self._settings = settings
        self.metrics = ScorerMetrics(lambda: self.waiting)
        self._forward, self._packing = self._made(loaded)
        self._arrived: deque[Waiting] = deque()
        self._reading: Pass | None = None
        super().__init__("scorer", "items", loaded, settings, settings.max_waiting)

    @property
    def waiting(self) -> int:
        """Items without an answer that are not in the running pass."""
        return len(self._queue) + len(self._arrived) + len(self._packing)

    @property
    def shares_prompts(self) -> bool:
        """Whether the model takes several texts at once."""
        return self._forward.packs

    def _made(self, loaded: LoadedModel) -> tuple[Forward, Packing | OneByOne]:
        device, settings = loaded.device.type, self._settings
        tokens, block = settings.tokens(device), settings.block(device)
        forward = Forward(loaded, block)
        if not forward.packs:
            return forward, OneByOne()
        return forward, Packing(tokens, block, settings.linger_s, settings.prefix_bytes)

    def _idle_s(self) -> float | None:
        return self._packing.due() - time.monotonic() if len(self._packing) else None

    def _step(self) -> None:
        if self._swap is not None:
            self._change_weights()
        with self._changed:
            self._arrived.extend(self._queue)
            self._queue.clear()
        while self._arrived:
            self._prepare(self._arrived[0])
            self._arrived.popleft()
        begun = time.monotonic()
        self._reading = following = self._packing.take(begun)
        if following is not None:
            self._forward.read(following)
            reused = self._packing.computed(following)
            self.metrics.passed(following, time.monotonic() - begun, reused)
            for work in following.finished:
                self._finish(work)
        self._reading = None

    def _prepare(self, waiting: Waiting) -> None:
        try:
            self._packing.add(waiting, row_of(waiting.item, self.loaded))
        except ConfigError as error:
            self._refuse(waiting, error)

    def _finish(self, work: Work) -> None:
        self._answered += 1
        self.metrics.waited(work.waiting.begun - work.waiting.since)
        if not all(map(math.isfinite, work.found)):
            self._refuse(work.waiting, _no_numbers(work))
            return
        if work.waiting.answer.set_running_or_notify_cancel():
            work.waiting.answer.set_result(_score(work, self.loaded.weights_sha256))

    def _use(self, loaded: LoadedModel) -> None:
        forward, packing = self._made(loaded)
        with self._changed:  # tokenized by the old tokenizer
            self._queue.extendleft(reversed(self._packing.clear()))
        self._forward, self._packing = forward, packing

    def _take_all(self) -> list[Waiting]:
        ending = () if self._reading is None else self._reading.finished
        read = [work.waiting for work in ending if not work.waiting.answer.done()]
        left = read + self._packing.clear() + list(self._arrived) + list(self._queue)
        self._arrived.clear()
        self._queue.clear()
        return left

    def _refuse(self, work: Waiting, error: RoundsmithError) -> None:
        if work.answer.set_running_or_notify_cancel():
            work.answer.set_exception(error)


def _no_numbers(work: Work) -> EngineError:
    place = next(i for i, found in enumerate(work.found) if not math.isfinite(found))
    return EngineError(
        f"token {place} of the completion has the log-probability {work.found[place]}, expected a "
        "finite one: the model's weights are damaged or diverged in training, score with others"
    )


def _score(work: Work, weights_sha256: str) -> Score:
    if work.row.question is not None:
        return Score(0.0, 0, weights_sha256, p_yes=work.found[0])
    # fsum is exact, so the order of the terms does not matter
    return Score(math.fsum(work.found), len(work.found), weights_sha256)
