"""The bench compares equal work."""

from pathlib import Path

import pytest

from roundsmith.scorer.bench import bench


@pytest.mark.slow
def test_the_bench_tells_one_ratio_against_the_bare_forward_pass(tiny: Path) -> None:
    (result,) = bench(str(tiny), requests=24, pairs=1)
    assert (result.unit, result.against) == ("tokens/s", "bare forward")
    assert result.ratio == pytest.approx(result.value / result.against_value)
    assert result.value > 0
