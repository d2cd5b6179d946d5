"""The promise of sameness on the model that rounds really use, at the default settings."""

import random
from pathlib import Path

import pytest

from roundsmith.generator.settings import GeneratorSettings
from roundsmith.types import GenerateItem, Sampling
from tests.services.generator.driven import Driven

LAB = Path(__file__).parents[3] / "pipelines/roundsmith/lab/model"


@pytest.mark.slow
def test_the_lab_models_samples_do_not_depend_on_their_neighbours() -> None:
    driven = Driven(GeneratorSettings(model=str(LAB)))
    pick = random.Random(5)
    items = [
        GenerateItem(
            str(i),
            f"def add_{i}(a, b):\n    " * pick.randint(1, 6),
            Sampling(pick.randint(5, 40), pick.choice([0.0, 0.8]), pick.choice([1.0, 0.9])),
            seed=i,
            n=pick.randint(1, 4),
        )
        for i in range(40)
    ]

    together = driven.ask(items)
    for at in (0, 17, 39):
        assert driven.ask([items[at]]) == [together[at]]
    assert driven.ask(items[::-1])[::-1] == together
    driven.close()
