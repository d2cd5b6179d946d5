"""One undisturbed round in small shards, which every disturbed one is compared with."""

from pathlib import Path

import pytest

from tests.chaos.kills import settings_file
from tests.pipelines.round.lab_round import play


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a round that nothing happened to."""
    folder = tmp_path_factory.mktemp("left-alone")
    play(folder / "run", "--config", str(settings_file(folder)))
    return folder / "run"
