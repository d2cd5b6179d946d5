"""A chain of rounds: what each leaves to the next, and what ends it."""

from pathlib import Path
from typing import Any

import pytest

from roundsmith.errors import ConfigError
from roundsmith.platform.chain import Chain, RoundRecord
from roundsmith.presets import run_config
from roundsmith.steps.config import RunConfig
from roundsmith.steps.rules import RoundSeen
from roundsmith.steps.spent import Spent


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """A chain that was not begun."""
    return Chain(str(tmp_path), "c")


def settings(**options: Any) -> RunConfig:
    """The settings of three rounds on the lab."""
    return run_config("lab", None, {"recipe": "gift", "rounds": 3, **options}, [])


def play(
    chain: Chain, number: int, config: RunConfig, *, promoted: bool = True, **spent: float
) -> RoundRecord:
    """A round that was decided, whose work took this."""
    work = {f"sample/{number}": Spent(**spent), "load_model/0": Spent(sampled_tokens=1)}
    seen = RoundSeen(promoted, 0.5, Spent())
    return chain.decided(config, seen, number, f"train/{number}", work)


def test_a_round_begins_with_what_the_one_before_left(chain: Chain) -> None:
    assert chain.model_before(1) is None
    assert play(chain, 1, settings()).last == ""
    assert chain.model_before(2) == "train/1"
    assert play(chain, 2, settings()).last == ""
    assert play(chain, 3, settings()).last == "3 of 3 rounds are played"
    with pytest.raises(ConfigError, match="that it was the last"):
        chain.model_before(4)


def test_what_a_round_came_to_is_written_once(chain: Chain) -> None:
    first = play(chain, 1, settings(), sampled_tokens=5)
    again = play(chain, 1, settings(), promoted=False, sampled_tokens=9)
    assert again == first == chain.record(1)


def test_the_budget_is_that_of_all_rounds_and_shared_work_counts_once(chain: Chain) -> None:
    config = settings(budget={"tokens": 101})
    assert play(chain, 1, config, sampled_tokens=50).last == ""
    assert play(chain, 2, config, sampled_tokens=49).last == ""
    assert "budget is spent: 101 tokens of 101" in play(chain, 3, settings(
        budget={"tokens": 101}, rounds=5), sampled_tokens=1).last  # fmt: skip


def test_rounds_without_a_gain_end_the_chain(chain: Chain) -> None:
    config = settings(stop={"rounds_without_gain": 2})
    assert play(chain, 1, config, promoted=False).last == ""
    assert play(chain, 2, config, promoted=False).last == "no gain in 2 rounds"


def test_one_run_submits_the_next_round_and_may_try_again(chain: Chain) -> None:
    assert chain.claim(2, "run-a", never)
    assert chain.claim(2, "run-a", never), "its task is retried"
    assert not chain.claim(2, "run-b", never)
    assert chain.claim(3, "run-b", never)


def test_where_the_run_that_submits_is_lost_one_other_takes_its_place(chain: Chain) -> None:
    def lost(run: str) -> bool:
        return run in ("run-a", "run-b")

    assert chain.claim(2, "run-a", never)
    assert chain.claim(2, "run-b", lost)
    assert not chain.claim(2, "run-c", lambda run: run == "run-a")
    assert chain.claim(2, "run-c", lost)
    assert chain.claim(2, "run-c", lost), "its task is retried"
    assert not chain.claim(2, "run-d", lost)


def never(run: str) -> bool:
    """No run was lost."""
    return False


def test_a_chain_that_was_stopped_says_so_to_everybody(chain: Chain, tmp_path: Path) -> None:
    assert not chain.stopped
    chain.stop()
    chain.stop()
    assert Chain(str(tmp_path), "c").stopped
    assert not Chain(str(tmp_path), "d").stopped
