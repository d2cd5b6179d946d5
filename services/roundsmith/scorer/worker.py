"""One thread that owns the model: it takes what waits, by batches, and answers each item."""

import logging
import math
import threading
import time
from concurrent.futures import Future

from roundsmith.errors import ConfigError, EngineError, Overloaded, Unavailable
from roundsmith.models.loading import LoadedModel, use_threads
from roundsmith.scorer.batches import Batch, Buckets, Waiting
from roundsmith.scorer.forward import Forward
from roundsmith.scorer.rows import Row, row_of
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import Score

logger = logging.getLogger(__name__)


class Worker:
    """The queue and the model. Every public method may be called from any thread."""

    def __init__(self, loaded: LoadedModel, settings: ScorerSettings) -> None:
        self._settings = settings
        self._forward = Forward(loaded)
        self._inbox: list[Waiting] = []
        self._buckets = Buckets(settings)
        self._swap: tuple[Forward, Future[None]] | None = None
        self._changed = threading.Condition()
        self._closed: EngineError | None = None
        self._item_s = 0.01
        self._thread = threading.Thread(target=self._serve, name="scorer", daemon=True)
        self._thread.start()

    @property
    def loaded(self) -> LoadedModel:
        """What scores now."""
        return self._forward.loaded

    @property
    def waiting(self) -> int:
        """Items without an answer that are not in the running batch."""
        return len(self._inbox) + len(self._buckets)

    def submit(self, waiting: Waiting) -> None:
        """Queue an item. Overloaded when too many wait, Unavailable when the worker has stopped."""
        with self._changed:
            if self._closed is not None:
                raise self._closed
            if self.waiting >= self._settings.max_waiting:
                raise Overloaded(
                    f"{self.waiting} items wait, expected at most {self._settings.max_waiting}: "
                    "send it again later",
                    retry_after_s=min(max(self.waiting * self._item_s, 0.5), 60.0),
                )
            self._inbox.append(waiting)
            self._changed.notify()

    def swap(self, loaded: LoadedModel) -> "Future[None]":
        """Score with other weights from the next batch on."""
        done: Future[None] = Future()
        forward = Forward(loaded)
        with self._changed:
            if self._closed is not None:
                raise self._closed
            assert self._swap is None, "one reload at a time"
            self._swap = (forward, done)
            self._changed.notify()
        return done

    def close(self) -> None:
        """Stop; what waits is answered with Unavailable."""
        self._stop(Unavailable("the scorer is shutting down: send the request to another replica"))
        self._thread.join()

    def _stop(self, error: EngineError) -> None:
        with self._changed:
            self._closed = self._closed or error
            self._changed.notify()

    def _serve(self) -> None:
        use_threads(self._settings, self.loaded)
        try:
            while self._awaken():
                self._step()
        except Exception as failure:
            self._stop(
                EngineError(
                    f"the scorer failed ({type(failure).__name__}: {failure}): "
                    "see its log, and start it again"
                )
            )
            raise
        finally:
            self._abandon()

    def _awaken(self) -> bool:
        """Wait for a batch, an arrival or a change of weights; False when it is time to stop."""
        with self._changed:
            if not (self._closed or self._swap or self._inbox):
                timeout = self._buckets.due() - time.monotonic() if len(self._buckets) else None
                if timeout is None or timeout > 0:
                    self._changed.wait(timeout)
            return self._closed is None

    def _step(self) -> None:
        with self._changed:
            arrived, self._inbox = self._inbox, []
            swap, self._swap = self._swap, None
        if swap is not None:
            self._forward = swap[0]
            use_threads(self._settings, self.loaded)
            arrived = self._buckets.clear() + arrived  # tokenized by the old tokenizer
            logger.info("scoring with weights %s", self.loaded.weights_sha256[:12])
            swap[1].set_result(None)
        for waiting in arrived:
            self._prepare(waiting)
        batch = self._buckets.take(time.monotonic())
        if batch is not None:
            self._answer(batch)

    def _prepare(self, waiting: Waiting) -> None:
        try:
            self._buckets.add(waiting, row_of(waiting.item, self.loaded))
        except ConfigError as error:
            if waiting.answer.set_running_or_notify_cancel():
                waiting.answer.set_exception(error)

    def _answer(self, batch: Batch) -> None:
        begun = time.monotonic()
        wanted = [w.answer.set_running_or_notify_cancel() for w in batch.waiting]
        if not any(wanted):
            return
        read = self._forward.read(batch.rows, batch.num_rows, batch.length)
        for waiting, row, pairs, alive in zip(batch.waiting, batch.rows, read, wanted, strict=True):
            if alive:
                waiting.answer.set_result(_score(row, pairs, self.loaded.weights_sha256))
        self._item_s = (time.monotonic() - begun) / len(batch.rows)

    def _abandon(self) -> None:
        assert self._closed is not None
        with self._changed:
            waiting = self._buckets.clear() + self._inbox
            self._inbox = []
        for one in waiting:
            if one.answer.set_running_or_notify_cancel():
                one.answer.set_exception(self._closed)
        if self._swap is not None:
            self._swap[1].set_exception(self._closed)


def _score(row: Row, pairs: list[tuple[float, float]], weights_sha256: str) -> Score:
    if row.p_yes:
        yes, no = pairs[0]
        # exp(z_yes) / (exp(z_yes) + exp(z_no)); the normaliser cancels
        return Score(0.0, 0, weights_sha256, p_yes=1.0 / (1.0 + math.exp(min(no - yes, 700.0))))
    # fsum is exact, so the order of the terms does not matter
    return Score(math.fsum(logprob for logprob, _ in pairs), len(pairs), weights_sha256)
