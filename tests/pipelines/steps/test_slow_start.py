"""What takes long to begin is told, and what does not is not."""

import asyncio
from contextlib import suppress

import pytest

from roundsmith.steps import slow_start as module
from roundsmith.steps.slow_start import slow_start

Told = list[tuple[str, int, int]]


def play(seconds: float, begins: bool, fails: bool = False) -> Told:
    """What is told of a beginning."""
    told: Told = []

    async def run() -> None:
        def tell(step: str, done: int, total: int, note: str) -> None:
            told.append((step, done, total))

        async with slow_start(tell, "start services") as begun:
            await asyncio.sleep(seconds)
            if begins:
                begun()
                begun()
            if fails:
                raise OSError

    with suppress(OSError):
        asyncio.run(run())
    return told


def test_a_quick_start_is_not_told() -> None:
    assert play(0, begins=False) == play(0, begins=True) == []


def test_a_slow_start_is_told_and_its_end_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOW_S", 0.0)
    whole = [("start services", 0, 1), ("start services", 1, 1)]
    assert play(0.05, begins=False) == play(0.05, begins=True) == whole
    assert play(0.05, begins=False, fails=True) == whole[:1], "what failed has not begun"
