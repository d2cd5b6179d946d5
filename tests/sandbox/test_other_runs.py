"""A zygote that is made while a supervisor serves knows nothing of the runs before it, nor of the
one that it is made for: else each of its programs would.
"""

import asyncio

import pytest

from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import CallTest, ExecuteItem, Outcome, Program

MARK = "mark-5c1d0f"
SAID = "def f(x):\n    text = '" + MARK + "'\n    {}return x\n"
LOOKS = """
import ctypes, gc, sys
libc = ctypes.CDLL(None)
def mapped(address):
    page = ctypes.c_void_p(address & ~4095)
    return not libc.mincore(page, ctypes.c_size_t(4096), ctypes.create_string_buffer(1))
def f(turned):
    mark = turned[::-1]
    found, frame = set(), sys._getframe().f_back
    while frame is not None:
        for name, value in list(frame.f_locals.items()):
            if mark in repr(value):
                found.add('local ' + name)
        frame = frame.f_back
    gc.unfreeze()
    things = gc.get_objects()
    for thing in things:
        for value in [thing, *gc.get_referents(thing)]:
            if isinstance(value, str) and mark in value and value != mark:
                found.add('text')
            if isinstance(value, (bytes, bytearray)) and mark.encode() in value:
                found.add('bytes')
        state = getattr(thing, '_state', None) if type(thing).__name__ == 'SupervisorLoop' else None
        for name in ('frame', 'asked', 'buffer', 'events') if state is not None else ():
            address = getattr(state, name)
            if address and mapped(address) and mark.encode() in ctypes.string_at(address, 4096):
                found.add('of the loop: ' + name)
    return sorted(found)
"""


@pytest.mark.parametrize("tier", ["T1", "T2"])
@pytest.mark.parametrize("launcher", ["c", "python"])
def test_programs_of_a_later_zygote_find_nothing_of_other_runs(tier: str, launcher: str) -> None:
    async def main() -> list[Outcome] | str:
        settings = ExecutorSettings(slots=1, highest=tier, launcher=launcher, cache_bytes=0)
        async with Pool(settings) as pool:
            if pool.capabilities().tier != tier:
                return f"{tier} does not hold here"
            if "scientific" not in pool.capabilities().profiles:
                return "there is no profile scientific here"
            said = CallTest("t", "f", (MARK,), MARK)
            for at, more in enumerate(("", "print(text); ", "")):
                item = ExecuteItem("i", (Program(f"c{at}", SAID.format(more)),), (said,))
                assert [o.verdict.value async for o in pool.execute(item)] == ["PASS"]
            first = ExecuteItem(
                "i", (Program("c", SAID.format("")),), (said,), profile="scientific"
            )
            assert [o.verdict.value async for o in pool.execute(first)] == ["PASS"]
            looks = CallTest("t", "f", (MARK[::-1],), [])
            last = ExecuteItem("i", (Program("c", LOOKS),), (looks,), profile="scientific")
            return [outcome async for outcome in pool.execute(last)]

    found = asyncio.run(main())
    if isinstance(found, str):
        pytest.skip(found)
    (outcome,) = found
    assert outcome.verdict.value == "PASS", outcome.detail
