"""The setting `profiles`: what an executor offers of what its sandboxes have."""

import asyncio

import pytest

from roundsmith.errors import ConfigError, UnknownName
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.sandbox.profiles import BASE, SCIENTIFIC
from roundsmith.types import CallTest, ExecuteItem, Outcome, Program
from roundsmith.verdicts import Verdict


async def outcomes(pool: Pool, profile: str) -> list[Outcome]:
    programs, tests = (Program("c", "def f(): return 1"),), (CallTest("t", "f", (), 1),)
    item = ExecuteItem("i", programs, tests, profile=profile)
    return [outcome async for outcome in pool.execute(item)]


def test_only_what_the_setting_names_is_offered_and_the_rest_is_refused_with_the_reason() -> None:
    async def run() -> None:
        async with Pool(ExecutorSettings(slots=1, profiles=(BASE,))) as pool:
            held = pool.capabilities()
            assert held.profiles == (BASE,)
            assert [o.verdict for o in await outcomes(pool, BASE)] == [Verdict.PASS]
            assert SCIENTIFIC in held.missing_profiles
            for name, why in held.missing_profiles.items():
                with pytest.raises(UnknownName, match="expected one of") as refused:
                    await outcomes(pool, name)
                assert why in str(refused.value)

    asyncio.run(run())


def test_a_profile_that_the_sandbox_has_but_is_not_offered_says_that() -> None:
    async def everything() -> tuple[str, ...]:
        async with Pool(ExecutorSettings(slots=1)) as pool:
            return pool.capabilities().profiles

    async def held_back() -> dict[str, str]:
        async with Pool(ExecutorSettings(slots=1, profiles=(BASE,))) as pool:
            return dict(pool.capabilities().missing_profiles)

    others = [name for name in asyncio.run(everything()) if name != BASE]
    missing = asyncio.run(held_back())
    assert {missing[name] for name in others} <= {
        "not among the profiles that this executor was told to offer"
    }


def test_a_setting_that_names_what_no_sandbox_has_keeps_the_executor_from_starting() -> None:
    async def start() -> None:
        async with Pool(ExecutorSettings(slots=1, profiles=(BASE, "fortran"))):
            pass

    with pytest.raises(ConfigError, match=r"profile 'fortran': it is none; expected some of"):
        asyncio.run(start())
