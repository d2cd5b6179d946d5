"""Whether samples repeat with two threads, and whether the engine says so: each in a process of its
own, because MKL is told once how to add.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from roundsmith.config import child_environment

PROGRAM = """
import json, sys
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.types import GenerateItem, Sampling
from tests.services.generator.driven import Driven

settings = GeneratorSettings(model=sys.argv[1], slots=4, bucket_tokens=16, threads=2)
driven = Driven(settings)
items = [
    GenerateItem(str(i), "def add(a, b):\\n" * (1 + i % 5), Sampling(4 + 3 * i), i)
    for i in range(12)
]
together = driven.ask(items)
changed = sum(driven.ask([item]) != [one] for item, one in zip(items, together))
print(json.dumps([driven.engine.describe().reproducible, changed]))
driven.close()
"""


def said_and_changed(tiny: Path, **environment: str) -> tuple[bool, int]:
    """What the engine says, and how many of 12 samples were others alone than together."""
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, tiny],
        env=child_environment(**environment),
        stdout=subprocess.PIPE,
        check=True,
    )
    said, changed = json.loads(found.stdout)
    return said, changed


@pytest.mark.slow
def test_samples_repeat_with_two_threads(tiny: Path) -> None:
    assert said_and_changed(tiny) == (True, 0)


@pytest.mark.slow
def test_an_engine_whose_samples_do_not_repeat_says_so(tiny: Path) -> None:
    said, changed = said_and_changed(tiny, MKL_CBWR="")
    assert not (said and changed)
