"""Settings of all tests, and what takes long to make and many look at: one undisturbed round, one
pretrained model.
"""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from roundsmith.config import let_threads_sleep

# Before a test imports torch, as the commands do: other tests use the same cores.
let_threads_sleep()

# How long an example takes, or is drawn, is no claim of ours, and CI tries the same examples on
# every machine.
settings.register_profile(
    "roundsmith",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("roundsmith")


def pytest_collection_finish() -> None:
    """What all test modules have imported stays: no search for garbage looks through it again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what is marked `gpu` where torch has none."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no GPU: run `pytest -m gpu` where torch has one")


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """An engine in this process has MKL add in one order (`repeat_sums`); a training that a later
    test starts must not inherit it, since it would give other last bits.
    """
    before = os.environ.get("MKL_CBWR")
    yield
    if before is None:
        os.environ.pop("MKL_CBWR", None)
    else:
        os.environ["MKL_CBWR"] = before


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of `lab_round`. Who changes it takes a copy."""
    from tests.pipelines.round.lab_round import play

    out = tmp_path_factory.mktemp("undisturbed")
    play(out)
    return out


@pytest.fixture(scope="session")
def undisturbed_in_small_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run in shards of a few tasks, in another folder."""
    from tests.chaos.kills import settings_file
    from tests.pipelines.round.lab_round import play

    folder = tmp_path_factory.mktemp("left-alone")
    play(folder / "run", "--config", str(settings_file(folder)))
    return folder / "run"


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of SmolLM2-135M-Instruct, which nobody changes: what `make test` made for all its
    parts, or one of this session.
    """
    from tests.tools.make_smollm2 import make

    made = Path(__file__).parents[1] / ".venv" / "smollm2"
    return made if made.exists() else make(tmp_path_factory.mktemp("smollm2") / "model")
