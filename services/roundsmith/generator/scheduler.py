"""Continuous batching: the thread that owns the slots.

Requests join as slots free, completions leave one by one.
"""

from itertools import islice

from roundsmith.errors import ConfigError, RoundsmithError, TooLong
from roundsmith.generator.decoder import Decoder
from roundsmith.generator.requests import Request, Running
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.models.loading import LoadedModel
from roundsmith.models.thread import ModelThread

LOOKAHEAD = 64
"""How far down the queue prompts are looked for that can be computed together."""


class Scheduler(ModelThread[Request]):
    """The queue and the slots."""

    def __init__(self, loaded: LoadedModel, settings: GeneratorSettings) -> None:
        self._settings = settings
        self._decoder = Decoder(loaded, settings)
        self._running: list[Running | None] = [None] * settings.slots
        super().__init__("generator", "completions", loaded, settings, settings.max_waiting)

    @property
    def running(self) -> int:
        """Completions in slots."""
        return sum(running is not None for running in self._running)

    @property
    def waiting(self) -> int:
        """Completions that have no slot yet."""
        with self._changed:
            return sum(request.waiting for request in self._queue)

    def cancel(self, request: Request) -> None:
        """Free what a request holds: its place in the queue now, its slots at the next step."""
        request.cancelled = True
        with self._changed:
            if request in self._queue:
                self._queue.remove(request)

    def _idle_s(self) -> float | None:
        return 0.0 if self.running else None

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
                self._answered += 1
                running.request.deliver(completion)

    def _release(self, slot: int) -> None:
        self._running[slot] = None
        self._decoder.release(slot)

    def _use(self, loaded: LoadedModel) -> None:
        with self._changed:
            for request in self._queue:
                request.ids = request.prefix = None  # made with the old weights
        self._decoder = Decoder(loaded, self._settings)

    def _take_all(self) -> list[Request]:
        held = [running.request for running in self._running if running is not None]
        requests = {id(request): request for request in [*held, *self._queue]}
        self._running = [None] * self._settings.slots
        self._queue.clear()
        return list(requests.values())

    def _refuse(self, work: Request, error: RoundsmithError) -> None:
        work.deliver(error)
