"""The thread that owns the model: it takes what waits, pass by pass, and answers each item."""

import math
import time
from collections import deque
from typing import ClassVar

from roundsmith.errors import ConfigError, EngineError, RoundsmithError
from roundsmith.models.loading import LoadedModel
from roundsmith.models.thread import ModelThread
from roundsmith.scorer.alone import OneByOne
from roundsmith.scorer.forward import Forward, Reading
from roundsmith.scorer.metrics import ScorerMetrics
from roundsmith.scorer.packing import Packing, Pass, Waiting, Work
from roundsmith.scorer.rows import rows_of
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import Score

_AT_ONCE = 256
"""So many items are tokenized together; more, when a pass is full, while it is computed."""
_Begun = tuple[Reading, float, int]
"""A pass that a GPU may be at still, since when, and what of prompts was not computed for it."""


class Worker(ModelThread[Waiting]):
    """The queue, what of it is tokenized and packed, and the model."""

    _smaller: ClassVar[str] = (
        "smaller numbers (--dtype bfloat16; of a run: dtype under [services]), or shorter passes "
        "and less that is kept (--forward-tokens, --prefix-bytes)"
    )

    def __init__(self, loaded: LoadedModel, settings: ScorerSettings) -> None:
        self._settings = settings
        self.metrics = ScorerMetrics(lambda: self.waiting)
        self._forward, self._packing = self._made(loaded)
        self._arrived: deque[Waiting] = deque()
        self._passes: deque[Pass] = deque()
        """Those whose rows have no answers yet, the oldest first."""
        self._begun: _Begun | None = None
        self._ended = 0.0
        """When the last pass was there, in monotonic seconds."""
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
        if self._begun is not None or self._arrived:
            return 0.0
        return self._packing.due() - time.monotonic() if len(self._packing) else None

    def _step(self) -> None:
        if self._swap is not None:
            self._end_begun()
            self._change_weights()
        with self._changed:
            self._arrived.extend(self._queue)
            self._queue.clear()
        self._prepare()
        now, before = time.monotonic(), self._begun
        if (following := self._packing.take(now)) is None:
            self._end_begun()
            return
        self._passes.append(following)
        self._begun = self._forward.begin(following), now, self._packing.computed(following)
        if before is not None:
            self._end(*before)
        if not self._forward.goes_on:
            self._end_begun()

    def _prepare(self) -> None:
        """Tokenize what arrived, as far as it is needed soon."""
        while self._arrived and not (self._packing.full and len(self._packing) >= _AT_ONCE):
            some = [self._arrived[at] for at in range(min(_AT_ONCE, len(self._arrived)))]
            rows = rows_of([waiting.item for waiting in some], self.loaded)
            for waiting, row in zip(some, rows, strict=True):
                if isinstance(row, ConfigError):
                    self._refuse(waiting, row)
                else:
                    self._packing.add(waiting, row)
                self._arrived.popleft()

    def _end_begun(self) -> None:
        """Wait for the pass that is computed, if there is one."""
        if self._begun is not None:
            begun, self._begun = self._begun, None
            self._end(*begun)

    def _end(self, reading: Reading, since: float, reused: int) -> None:
        """Wait for a pass, and answer the rows that end with it."""
        reading.end()
        now = time.monotonic()
        self.metrics.passed(reading.done, now - max(since, self._ended), reused)
        self._ended = now
        for work in reading.done.finished:
            self._finish(work)
        self._passes.popleft()

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
        ending = [work.waiting for done in self._passes for work in done.finished]
        read = [waiting for waiting in ending if not waiting.answer.done()]
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
    prompt = len(work.row.prefix) + 1  # the prompt's last token is the first that is read out
    if work.row.question is not None:
        return Score(0.0, 0, weights_sha256, work.found[0], prompt)
    # fsum is exact, so the order of the terms does not matter
    return Score(math.fsum(work.found), len(work.found), weights_sha256, prompt_tokens=prompt)
