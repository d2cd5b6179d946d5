"""A zygote that is made while a supervisor serves knows nothing of the runs before it, nor of the
one that it is made for: else each of its programs would.
"""

import asyncio
from contextlib import ExitStack
from typing import Any

import pytest

from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import CallTest, ExecuteItem, Limits, Outcome, Program, StdioTest
from tests.sandbox.conftest import scientific_pod

MARK = "mark-5c1d0f"
SAID = "def f(x):\n    text = '" + MARK + "'\n    {}return x\n"
ECHOES = "#include <cstdio>\nint main() { putchar(getchar()); }\n"
LOOKS = """
import ctypes, gc, sys
libc = ctypes.CDLL(None)
def mapped(address):
    page = ctypes.c_void_p(address & ~4095)
    return not libc.mincore(page, ctypes.c_size_t(4096), ctypes.create_string_buffer(1))
def f(turned):
    mark = turned[::-1]
    found, frames, frame = set(), [], sys._getframe().f_back
    while frame is not None:
        for name, value in list(frame.f_locals.items()):
            if mark in repr(value):
                found.add('local ' + name)
        frames.append(frame)
        frame = frame.f_back
    gc.unfreeze()
    things, seen = gc.get_objects(), set()
    left = [*things, *(v for f in frames for v in f.f_locals.values())]
    while left:
        value = left.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        left += gc.get_referents(value)
        if isinstance(value, str) and mark in value and value != mark:
            found.add('text')
        if isinstance(value, (bytes, bytearray)) and mark.encode() in value:
            found.add('bytes')
    for thing in things:
        state = getattr(thing, '_state', None) if type(thing).__name__ == 'SupervisorLoop' else None
        for name in ('frame', 'asked', 'buffer', 'events') if state is not None else ():
            address = getattr(state, name)
            if address and mapped(address) and mark.encode() in ctypes.string_at(address, 4096):
                found.add('of the loop: ' + name)
    return sorted(found)
"""


@pytest.mark.parametrize("place", ["T1", "T2", "pod"])
@pytest.mark.parametrize("launcher", ["c", "python"])
def test_case_103_programs_of_a_later_zygote_find_nothing_of_other_runs(
    place: str, launcher: str
) -> None:
    asked: dict[str, Any] = {"slots": 1, "launcher": launcher, "cache_bytes": 0}
    with ExitStack() as stack:
        if place == "pod":
            settings = stack.enter_context(scientific_pod()).settings(**asked)
        else:
            settings = ExecutorSettings(highest=place, **asked)
        found = asyncio.run(of_the_last(settings, "T1" if place == "pod" else place))
    if isinstance(found, str):
        pytest.skip(found)
    (outcome,) = found
    assert outcome.verdict.value == "PASS", outcome.detail


async def of_the_last(settings: ExecutorSettings, tier: str) -> list[Outcome] | str:
    """What comes of a program that looks for what others said before it, or why there is none."""
    said, looks = CallTest("t", "f", (MARK,), MARK), CallTest("t", "f", (MARK[::-1],), [])
    async with Pool(settings) as pool:
        if pool.capabilities().tier != tier:
            return f"{tier} does not hold here"
        if "scientific" not in pool.capabilities().profiles:
            return "there is no profile scientific here"
        if "cpp" in pool.capabilities().profiles:
            echo = Program("c", f"// {MARK}\n{ECHOES}")
            item = ExecuteItem("i", (echo,), (StdioTest("t", "1", "1"),), profile="cpp")
            assert [o.verdict.value async for o in pool.execute(item)] == ["PASS"]
        for at, (more, profile) in enumerate(
            (("", "base"), ("print(text); ", "base"), ("", "base"), ("", "scientific"))
        ):
            program = Program(f"c{at}", SAID.format(more))
            item = ExecuteItem("i", (program,), (said,), profile=profile)
            assert [o.verdict.value async for o in pool.execute(item)] == ["PASS"]
        last = ExecuteItem(
            "i", (Program("c", LOOKS),), (looks,), limits=Limits(cpu_s=20), profile="scientific"
        )
        return [outcome async for outcome in pool.execute(last)]
