"""Settings of all tests, and what takes long to make and many look at: one undisturbed round, one
pretrained model.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes is no claim of ours, and CI tries the same examples on every machine.
settings.register_profile("roundsmith", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("roundsmith")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what is marked `gpu` where torch has none."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no GPU: run `pytest -m gpu` where torch has one")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of `lab_round`. Who changes it takes a copy."""
    from tests.pipelines.round.lab_round import play

    out = tmp_path_factory.mktemp("undisturbed")
    play(out)
    return out


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of SmolLM2-135M-Instruct, which nobody changes."""
    from tests.tools.make_smollm2 import make

    return make(tmp_path_factory.mktemp("smollm2") / "model")
