"""Both engines over a tiny model, and how the tests ask them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from roundsmith.types import Completion, GenerateItem
from tests.services.conftest import make_model
from tests.services.generator.driven import ENGINES, Driven, need, settings_of

Ask = Callable[[Sequence[GenerateItem]], list[list[Completion]]]
HEAD_DIM = 32
"""The narrowest head that vLLM takes."""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model."""
    return make_model(tmp_path_factory.mktemp("tiny"), seed=1, head_dim=HEAD_DIM)


@pytest.fixture(scope="session")
def other_tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same tokenizer and architecture, other weights."""
    return make_model(tmp_path_factory.mktemp("other"), seed=2, head_dim=HEAD_DIM)


@pytest.fixture(scope="session", params=ENGINES)
def driven(request: pytest.FixtureRequest, tiny: Path) -> Iterator[Driven]:
    """Four slots over the tiny model. A test that changes what is served changes it back."""
    need(request.param)
    settings = settings_of(
        request.param,
        str(tiny),
        slots=4,
        bucket_tokens=16,
        max_waiting=64,
        max_adapters=2,
        kv_cache_gib=0.1,
    )
    driven = Driven(settings)
    yield driven
    driven.close()


@pytest.fixture(scope="session")
def ask(driven: Driven) -> Ask:
    """Items asked at once, answered in their order, completions by index."""
    return driven.ask
