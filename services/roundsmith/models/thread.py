"""One thread that owns a model: what waits for it is bounded, and answered whatever ends it."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import Future
from typing import ClassVar, Generic, TypeVar

from roundsmith.errors import ConfigError, EngineError, Overloaded, RoundsmithError, Unavailable
from roundsmith.models.loading import LoadedModel, use_threads
from roundsmith.models.memory import out_of_memory
from roundsmith.models.settings import ModelSettings

_FIRST_S = 0.01
"""What an answer is thought to take before there was one."""
Work = TypeVar("Work")
logger = logging.getLogger(__name__)


class ModelThread(ABC, Generic[Work]):
    """A queue and the thread that works it off. Every public method may be called from any thread.

    A subclass says what a step is; its methods are called in the thread. It counts in `_answered`
    what it has answered, of what `waiting` counts.
    """

    _smaller: ClassVar[str]
    """What a person can do to make it need less memory."""

    def __init__(
        self, name: str, unit: str, loaded: LoadedModel, settings: ModelSettings, max_waiting: int
    ) -> None:
        """Starts the thread, so call it last. `name` is the service, `unit` what is waited for."""
        self._name, self._unit, self._max_waiting = name, unit, max_waiting
        self._loaded, self._model_settings = loaded, settings
        self._queue: deque[Work] = deque()
        self._swap: tuple[LoadedModel, Future[None]] | None = None
        self._changed = threading.Condition()
        self._closed: EngineError | None = None
        self._answered, self._busy_s = 0, 0.0
        self.failed: Future[RoundsmithError] = Future()
        """Done when the thread failed, so that it will never answer again; what is unanswered is
        told Unavailable."""
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    @property
    def loaded(self) -> LoadedModel:
        """What is served now."""
        return self._loaded

    @property
    @abstractmethod
    def waiting(self) -> int:
        """What is not yet worked on."""

    def submit(self, work: Work, count: int = 1) -> None:
        """Queue a piece of work for which `count` more wait.

        Overloaded when too many would wait, Unavailable when the thread has stopped.
        """
        with self._changed:
            self._refuse_closed()
            waiting = self.waiting
            if waiting and waiting + count > self._max_waiting:
                raise Overloaded(
                    f"{waiting} {self._unit} wait, expected at most {self._max_waiting} with the "
                    f"{count} asked for: send it again later",
                    retry_after_s=self._seconds_for(waiting),
                )
            self._queue.append(work)
            self._changed.notify()

    def swap(self, loaded: LoadedModel) -> "Future[None]":
        """Serve other weights; done when what is begun from then on is theirs alone. Cancelling it
        before that leaves those there are.
        """
        done: Future[None] = Future()
        with self._changed:
            self._refuse_closed()
            assert self._swap is None, "one reload at a time"
            self._swap = (loaded, done)
            self._changed.notify()
        return done

    def close(self) -> None:
        """Stop; what is unanswered is answered with Unavailable."""
        self._stop(
            Unavailable(f"the {self._name} is shutting down: send the request to another replica")
        )
        self._thread.join()

    @abstractmethod
    def _idle_s(self) -> float | None:
        """How long there is nothing to do if nothing comes, in seconds; None is for ever."""

    @abstractmethod
    def _step(self) -> None:
        """Do a part of the work, and `_change_weights` as soon as nothing is under way."""

    @abstractmethod
    def _use(self, loaded: LoadedModel) -> None:
        """Let go of what other weights made. Where it raises ConfigError it has changed nothing."""

    @abstractmethod
    def _take_all(self) -> list[Work]:
        """Take out what is unanswered."""

    @abstractmethod
    def _refuse(self, work: Work, error: RoundsmithError) -> None:
        """Answer what is left of a piece of work with an error."""

    def _change_weights(self) -> None:
        assert self._swap is not None
        loaded, done = self._swap
        if not done.set_running_or_notify_cancel():
            self._swap = None
            return
        try:
            self._use(loaded)
        except ConfigError as error:
            self._swap = None
            done.set_exception(error)
            return
        self._loaded, self._swap = loaded, None
        use_threads(self._model_settings, loaded)
        logger.info("the %s serves weights %s", self._name, loaded.weights_sha256[:12])
        done.set_result(None)

    def _refuse_closed(self) -> None:
        if self._closed is not None:
            raise self._closed

    def _stop(self, error: EngineError) -> None:
        with self._changed:
            self._closed = self._closed or error
            self._changed.notify()

    def _serve(self) -> None:
        use_threads(self._model_settings, self._loaded)
        try:
            while self._awaken():
                begun = time.monotonic()
                self._step()
                self._busy_s += time.monotonic() - begun
        except Exception as failure:
            told = self._told(failure)
            self._stop(Unavailable(told))  # whoever starts in its place may do what is left
            self.failed.set_result(EngineError(told))
            raise
        finally:
            self._abandon()

    def _told(self, failure: Exception) -> str:
        seen = f"({type(failure).__name__}: {failure})"
        if out_of_memory(failure):
            return (
                f"the {self._name} ran out of memory {seen}: give it more, or {self._smaller}; "
                "it is not made smaller by itself, because that may give other numbers"
            )
        return f"the {self._name} failed {seen}: see its log, and start it again"

    def _awaken(self) -> bool:
        """Wait for something to do; False when it is time to stop."""
        with self._changed:
            if not (self._closed or self._swap or self._queue):
                idle_s = self._idle_s()
                if idle_s is None or idle_s > 0:
                    self._changed.wait(idle_s)
            return self._closed is None

    def _abandon(self) -> None:
        assert self._closed is not None
        with self._changed:
            left = self._take_all()
        for work in left:
            self._refuse(work, self._closed)
        if self._swap is not None:
            done = self._swap[1]
            if done.running() or done.set_running_or_notify_cancel():
                done.set_exception(self._closed)

    def _seconds_for(self, count: int) -> float:
        each_s = self._busy_s / self._answered if self._answered else _FIRST_S
        return min(max(count * each_s, 0.5), 60.0)
