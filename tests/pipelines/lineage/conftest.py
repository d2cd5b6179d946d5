"""One hand-made run of two rounds for all tests that only read it."""

from pathlib import Path

import pytest

from tests.pipelines.lineage.made import MadeRun, made_run, next_round


@pytest.fixture(scope="session")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> tuple[MadeRun, MadeRun]:
    """Two rounds of one run; the second begins with the first one's checkpoint."""
    folder: Path = tmp_path_factory.mktemp("made")
    first = made_run(folder)
    return first, next_round(first, folder, promoted=False)
