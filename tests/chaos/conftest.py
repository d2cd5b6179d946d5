"""One undisturbed round in small shards, which every disturbed one is compared with."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def undisturbed(undisturbed_in_small_shards: Path) -> Path:
    """The folder of a round that nothing happened to. Who changes it takes a copy."""
    return undisturbed_in_small_shards
