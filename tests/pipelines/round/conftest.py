"""One undisturbed round, played once for all tests that look at it."""

from pathlib import Path

import pytest

from tests.pipelines.round.lab_round import play


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    out = tmp_path_factory.mktemp("undisturbed")
    play(out)
    return out
