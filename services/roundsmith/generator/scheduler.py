"""Continuous batching: the thread that owns the slots.

Requests join as slots free, completions leave one by one.
"""

from itertools import islice
from typing import ClassVar

from roundsmith.errors import ConfigError, EngineError, RoundsmithError
from roundsmith.generator.checks import check_drawn, check_length
from roundsmith.generator.decoder import Decoder
from roundsmith.generator.penalties import penalty
from roundsmith.generator.requests import Request, Running
from roundsmith.generator.sampling import Drawn
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.models.loading import LoadedModel
from roundsmith.models.thread import ModelThread
from roundsmith.types import Completion

LOOKAHEAD = 64
"""How far down the queue prompts are looked for that can be computed together."""


class Scheduler(ModelThread[Request]):
    """The queue and the slots."""

    _smaller: ClassVar[str] = "fewer slots (--slots; of a run: generator_slots under [services])"

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
            drawn = self._decoder.draw()
            self._take(drawn)
        if self.running:
            self._decoder.advance(drawn.tokens)

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
            self._start(slot, running)
            if not request.waiting:
                request.prefix = None

    def _start(self, slot: int, running: Running) -> None:
        item, ids = running.request.item, running.request.ids
        assert ids is not None
        self._decoder.draws.set(slot, running.seed, item.sampling, item.top_logprobs)
        if (due := penalty(item.sampling, ids)) is not None:
            self._decoder.penalties[slot] = due
        self._decoder.loras_S[slot] = running.request.lora
        self._running[slot] = running

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
                self._give_up(request, error)

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
        prefixes = self._decoder.prefill(
            [self._rendered(r) for r in batch], [r.lora for r in batch]
        )
        for computed, prefix in zip(batch, prefixes, strict=True):
            computed.prefix = prefix

    def _rendered(self, request: Request) -> list[int]:
        if request.ids is None:
            request.ids = self.loaded.render(request.item.prompt)
        check_length(len(request.ids), self.loaded.context_tokens)
        return request.ids

    def _take(self, drawn: Drawn) -> None:
        for slot, running in enumerate(self._running):
            if running is None:
                continue
            logprob = drawn.logprobs[slot]
            try:
                check_drawn((logprob,), len(running.token_ids))
            except EngineError as error:
                self._release(slot)
                self._give_up(running.request, error)
                continue
            told = running.add(drawn.tokens[slot], logprob, drawn.tops.get(slot))
            if isinstance(told, Completion):
                self._release(slot)
                self._answered += 1
            if told is not None:
                running.request.deliver(told)

    def _give_up(self, request: Request, error: RoundsmithError) -> None:
        """Answer an item with an error. What of it waits never starts, what runs ends."""
        request.started, request.prefix = request.item.n, None
        if not request.cancelled:
            request.cancelled = True
            request.deliver(error)

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
