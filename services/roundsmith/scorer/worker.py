"""The thread that owns the model: it takes what waits, by batches, and answers each item."""

import math
import time

from roundsmith.errors import ConfigError, RoundsmithError
from roundsmith.models.loading import LoadedModel
from roundsmith.models.thread import ModelThread
from roundsmith.scorer.batches import Batch, Buckets, Waiting
from roundsmith.scorer.forward import Forward
from roundsmith.scorer.rows import Row, row_of
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import Score


class Worker(ModelThread[Waiting]):
    """The queue, what of it is tokenized in buckets, and the model."""

    def __init__(self, loaded: LoadedModel, settings: ScorerSettings) -> None:
        self._forward = Forward(loaded)
        self._buckets = Buckets(settings)
        super().__init__("scorer", "items", loaded, settings, settings.max_waiting)

    @property
    def waiting(self) -> int:
        """Items without an answer that are not in the running batch."""
        return len(self._queue) + len(self._buckets)

    def _idle_s(self) -> float | None:
        return self._buckets.due() - time.monotonic() if len(self._buckets) else None

    def _step(self) -> None:
        if self._swap is not None:
            self._change_weights()
        with self._changed:
            arrived = list(self._queue)
            self._queue.clear()
        for waiting in arrived:
            self._prepare(waiting)
        batch = self._buckets.take(time.monotonic())
        if batch is not None:
            self._answer(batch)

    def _prepare(self, waiting: Waiting) -> None:
        try:
            self._buckets.add(waiting, row_of(waiting.item, self.loaded))
        except ConfigError as error:
            self._refuse(waiting, error)

    def _answer(self, batch: Batch) -> None:
        wanted = [w.answer.set_running_or_notify_cancel() for w in batch.waiting]
        if not any(wanted):
            return
        read = self._forward.read(batch.rows, batch.num_rows, batch.length)
        for waiting, row, pairs, alive in zip(batch.waiting, batch.rows, read, wanted, strict=True):
            if alive:
                waiting.answer.set_result(_score(row, pairs, self.loaded.weights_sha256))
        self._answered += len(batch.rows)

    def _use(self, loaded: LoadedModel) -> None:
        self._forward = Forward(loaded)
        with self._changed:  # tokenized by the old tokenizer
            self._queue.extendleft(reversed(self._buckets.clear()))

    def _take_all(self) -> list[Waiting]:
        left = self._buckets.clear() + list(self._queue)
        self._queue.clear()
        return left

    def _refuse(self, work: Waiting, error: RoundsmithError) -> None:
        if work.answer.set_running_or_notify_cancel():
            work.answer.set_exception(error)


def _score(row: Row, pairs: list[tuple[float, float]], weights_sha256: str) -> Score:
    if row.p_yes:
        yes, no = pairs[0]
        # exp(z_yes) / (exp(z_yes) + exp(z_no)); the normaliser cancels
        return Score(0.0, 0, weights_sha256, p_yes=1.0 / (1.0 + math.exp(min(no - yes, 700.0))))
    # fsum is exact, so the order of the terms does not matter
    return Score(math.fsum(logprob for logprob, _ in pairs), len(pairs), weights_sha256)
