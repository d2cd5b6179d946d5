"""The thread of a model: bounded, answering whatever ends it, and safe from bad weights."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from roundsmith.errors import ConfigError, EngineError, Overloaded, RoundsmithError, Unavailable
from roundsmith.models.loading import LoadedModel, load
from roundsmith.models.memory import out_of_memory
from roundsmith.models.settings import ModelSettings
from roundsmith.models.thread import ModelThread


@dataclass(eq=False)
class Asked:
    """A text whose number of tokens is wanted."""

    text: str
    answer: "Future[int]" = field(default_factory=Future)


class Counter(ModelThread[Asked]):
    """Counts tokens, one text a step, while it is let."""

    _smaller: ClassVar[str] = "shorter texts"

    def __init__(self, loaded: LoadedModel, settings: ModelSettings) -> None:
        self.let = threading.Event()
        super().__init__("counter", "texts", loaded, settings, 3)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def ask(self, text: str) -> "Future[int]":
        """How many tokens a text has."""
        asked = Asked(text)
        self.submit(asked)
        return asked.answer

    def _idle_s(self) -> float | None:
        return None

    def _step(self) -> None:
        if self._swap is not None:
            self._change_weights()
        self.let.wait()
        if self._closed is None and self._queue:
            asked = self._queue.popleft()
            asked.answer.set_result(len(self.loaded.render(asked.text)))
            self._answered += 1

    def _use(self, loaded: LoadedModel) -> None:
        if loaded.context_tokens == 1:
            raise ConfigError("one token is too few")
        if loaded.context_tokens == 2:
            raise RuntimeError("a bug")

    def _take_all(self) -> list[Asked]:
        left = list(self._queue)
        self._queue.clear()
        return left

    def _refuse(self, work: Asked, error: RoundsmithError) -> None:
        work.answer.set_exception(error)


@pytest.fixture
def counter(tiny: Path) -> Iterator[Counter]:
    """A counter that is let work."""
    with counting(tiny) as found:
        found.let.set()
        yield found


@contextmanager
def counting(folder: Path) -> Iterator[Counter]:
    """A counter that waits to be let."""
    settings = ModelSettings(model=str(folder))
    found = Counter(load(settings), settings)
    try:
        yield found
    finally:
        found.let.set()
        found.close()


def test_weights_that_can_not_be_used_leave_the_old_ones_serving(counter: Counter) -> None:
    old = counter.loaded
    with pytest.raises(ConfigError, match="too few"):
        counter.swap(replace(old, context_tokens=1)).result(120)
    assert counter.loaded is old
    assert counter.ask("a b").result(120) > 0
    other = replace(old, context_tokens=9)
    counter.swap(other).result(120)
    assert counter.loaded is other


def test_a_swap_that_is_given_up_changes_nothing_and_ends_nothing(counter: Counter) -> None:
    old = counter.loaded
    with counter._changed:  # before the thread takes it
        assert counter.swap(replace(old, context_tokens=9)).cancel()
    assert counter.ask("a b").result(120) > 0
    assert counter.loaded is old
    other = replace(old, context_tokens=9)
    counter.swap(other).result(120)
    assert counter.loaded is other


def test_more_than_may_wait_is_refused_with_a_time(tiny: Path) -> None:
    with counting(tiny) as counter:
        accepted = [counter.ask("a") for _ in range(3)]
        with pytest.raises(Overloaded, match="3 texts wait, expected at most 3 with the 1") as seen:
            counter.ask("b")
        assert 0.5 <= seen.value.retry_after_s <= 60
        counter.let.set()
        assert len({answer.result(120) for answer in accepted}) == 1


def test_what_waits_at_the_end_is_told_and_nothing_is_taken_after_it(tiny: Path) -> None:
    with counting(tiny) as counter:
        left = counter.ask("a")
        closing = threading.Thread(target=counter.close)
        closing.start()
        while counter._closed is None:
            time.sleep(0.01)
        counter.let.set()
        closing.join(120)
        assert isinstance(left.exception(120), Unavailable)
        with pytest.raises(Unavailable, match="another replica"):
            counter.ask("b")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_ends_the_thread_and_every_caller_is_told(counter: Counter) -> None:
    bug = Asked("a")
    bug.answer.set_result(0)  # a second answer is what breaks the step
    counter.submit(bug)
    counter._thread.join(120)
    with pytest.raises(Unavailable, match=r"the counter failed \(InvalidStateError"):
        counter.ask("b")
    assert type(counter.failed.result(120)) is EngineError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_swap_that_ends_the_thread_is_told(counter: Counter) -> None:
    done = counter.swap(replace(counter.loaded, context_tokens=2))
    assert isinstance(done.exception(120), Unavailable)


@pytest.mark.parametrize("make", [lambda: bytearray(2**62), lambda: torch.empty(2**58)])
def test_memory_that_runs_out_is_told_with_what_to_make_smaller(make: Callable[[], object]) -> None:
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        make()
    assert out_of_memory(caught.value)
    assert not out_of_memory(RuntimeError("shapes do not fit"))
