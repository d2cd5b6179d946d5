"""Continuous batching: one thread that owns the slots.

Requests join as slots free, completions leave one by one.
"""

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from itertools import islice

from roundsmith.errors import ConfigError, EngineError, Overloaded, TooLong, Unavailable
from roundsmith.generator.decoder import Decoder
from roundsmith.generator.requests import Request, Running
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.models.loading import LoadedModel, use_threads

LOOKAHEAD = 64
"""How far down the queue prompts are looked for that can be computed together."""
logger = logging.getLogger(__name__)


class Scheduler:
    """The queue and the slots. Every public method may be called from any thread."""

    def __init__(self, loaded: LoadedModel, settings: GeneratorSettings) -> None:
        self._settings = settings
        self._decoder = self._decoder_of(loaded)
        self._running: list[Running | None] = [None] * settings.slots
        self._queue: deque[Request] = deque()
        self._swap: tuple[LoadedModel, Future[None]] | None = None
        self._changed = threading.Condition()
        self._closed: EngineError | None = None
        self._finished = 0
        self._busy_s = 0.0
        self._thread = threading.Thread(target=self._serve, name="generator", daemon=True)
        self._thread.start()

    @property
    def loaded(self) -> LoadedModel:
        """What is served now."""
        return self._decoder.loaded

    @property
    def running(self) -> int:
        """Completions in slots."""
        return sum(running is not None for running in self._running)

    @property
    def waiting(self) -> int:
        """Completions that have no slot yet."""
        with self._changed:
            return sum(request.waiting for request in self._queue)

    def submit(self, request: Request) -> None:
        """Queue a request.

        Overloaded when too many wait, Unavailable when the engine has stopped.
        """
        with self._changed:
            if self._closed is not None:
                raise self._closed
            waiting = sum(queued.waiting for queued in self._queue)
            if waiting and waiting + request.item.n > self._settings.max_waiting:
                raise Overloaded(
                    f"{waiting} completions wait for one of {self._settings.slots} slots, "
                    "expected at most "
                    f"{self._settings.max_waiting} with the {request.item.n} asked for: send it "
                    "again later",
                    retry_after_s=self._seconds_for(waiting),
                )
            self._queue.append(request)
            self._changed.notify()

    def cancel(self, request: Request) -> None:
        """Free what a request holds: its place in the queue now, its slots at the next step."""
        request.cancelled = True
        with self._changed:
            if request in self._queue:
                self._queue.remove(request)

    def swap(self, loaded: LoadedModel) -> "Future[None]":
        """Serve other weights, once the completions that run now have ended on theirs.

        Nothing starts before.
        """
        done: Future[None] = Future()
        with self._changed:
            if self._closed is not None:
                raise self._closed
            assert self._swap is None, "one reload at a time"
            self._swap = (loaded, done)
            self._changed.notify()
        return done

    def close(self) -> None:
        """Stop; what runs or waits is answered with Unavailable."""
        self._stop(
            Unavailable("the generator is shutting down: send the request to another replica")
        )
        self._thread.join()

    def _stop(self, error: EngineError) -> None:
        with self._changed:
            self._closed = self._closed or error
            self._changed.notify()

    def _serve(self) -> None:
        use_threads(self._settings, self.loaded)
        try:
            while self._awaken():
                begun = time.monotonic()
                self._step()
                self._busy_s += time.monotonic() - begun
        except Exception as failure:
            self._stop(
                EngineError(
                    f"the generator failed ({type(failure).__name__}: {failure}): "
                    "see its log, and start it again"
                )
            )
            raise
        finally:
            self._abandon()

    def _awaken(self) -> bool:
        """Wait for something to do; False when it is time to stop."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._swap or self._queue or self.running
            )
            return self._closed is None

    def _step(self) -> None:
        self._drop_cancelled()
        if self._swap is not None and not self.running:
            self._change_weights()
        if self._swap is None:
            self._admit()
        if self.running:
            tokens, logprobs = self._decoder.draw()
            self._take(tokens, logprobs)
        if self.running:
            self._decoder.advance(tokens)

    def _drop_cancelled(self) -> None:
        for slot, running in enumerate(self._running):
            if running is not None and running.request.cancelled:
                self._release(slot)

    def _admit(self) -> None:
        for slot in [slot for slot, running in enumerate(self._running) if running is None]:
            request = self._next()
            if request is None:
                return
            assert request.prefix is not None
            running = Running.start(request, request.prefix, self.loaded)
            self._decoder.admit(slot, request.prefix)
            self._decoder.draws.set(slot, running.seed, request.item.sampling)
            self._running[slot] = running
            if not request.waiting:
                request.prefix = None

    def _next(self) -> Request | None:
        """The oldest request with completions to start, its prompt computed; refuses bad ones."""
        while True:
            with self._changed:
                while self._queue and not self._queue[0].waiting:
                    self._queue.popleft()
                request = self._queue[0] if self._queue else None
            if request is None:
                return None
            try:
                if request.prefix is None:
                    self._prefill(request)
                return request
            except ConfigError as error:
                request.started = request.item.n
                request.deliver(error)

    def _prefill(self, request: Request) -> None:
        """Compute a request's prompt, and with it the next ones of the same padded length."""
        length = self._decoder.padded(len(self._rendered(request)))
        batch = [request]
        with self._changed:
            following = [r for r in islice(self._queue, 1, LOOKAHEAD) if r.prefix is None]
        for other in following:
            if len(batch) == self._decoder.prefill_rows:
                break
            try:
                if self._decoder.padded(len(self._rendered(other))) == length:
                    batch.append(other)
            except ConfigError:
                continue  # refused when it is its turn
        prefixes = self._decoder.prefill([self._rendered(r) for r in batch])
        for computed, prefix in zip(batch, prefixes, strict=True):
            computed.prefix = prefix

    def _rendered(self, request: Request) -> list[int]:
        if request.ids is None:
            request.ids = self.loaded.render(request.item.prompt)
        if len(request.ids) >= self.loaded.context_tokens:
            raise TooLong(
                f"prompt of {len(request.ids)} tokens: expected fewer than the context of "
                f"{self.loaded.context_tokens}, so that at least one can be drawn: shorten it"
            )
        return request.ids

    def _take(self, tokens: list[int], logprobs: list[float]) -> None:
        for slot, running in enumerate(self._running):
            if running is None:
                continue
            completion = running.add(tokens[slot], logprobs[slot])
            if completion is not None:
                self._release(slot)
                self._finished += 1
                running.request.deliver(completion)

    def _release(self, slot: int) -> None:
        self._running[slot] = None
        self._decoder.release(slot)

    def _change_weights(self) -> None:
        assert self._swap is not None
        loaded, done = self._swap
        with self._changed:
            for request in self._queue:
                request.ids = request.prefix = None  # made with the old weights
        self._decoder = self._decoder_of(loaded)
        use_threads(self._settings, loaded)
        self._swap = None
        logger.info("serving weights %s", loaded.weights_sha256[:12])
        done.set_result(None)

    def _abandon(self) -> None:
        assert self._closed is not None
        waiting = {
            id(running.request): running.request for running in self._running if running is not None
        }
        waiting |= {id(request): request for request in self._queue}
        self._running = [None] * self._settings.slots
        self._queue.clear()
        for request in waiting.values():
            request.deliver(self._closed)
        if self._swap is not None:
            self._swap[1].set_exception(self._closed)

    def _decoder_of(self, loaded: LoadedModel) -> Decoder:
        return Decoder(loaded, self._settings)

    def _seconds_for(self, completions: int) -> float:
        each_s = self._busy_s / self._finished if self._finished else 0.1
        return min(max(completions * each_s, 0.5), 60.0)
