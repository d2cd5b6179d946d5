"""The bench compares equal work."""

from pathlib import Path

import pytest

from roundsmith.generator.bench import bench
from roundsmith.generator.settings import GeneratorSettings


@pytest.mark.slow
def test_the_bench_tells_one_ratio_against_generate(tiny: Path) -> None:
    settings = GeneratorSettings(model=str(tiny), slots=8)
    (result,) = bench(str(tiny), requests=12, pairs=1, settings=settings)
    assert (result.unit, result.against) == ("tokens/s", "generate")
    assert result.ratio == pytest.approx(result.value / result.against_value)
    assert result.value > 0
