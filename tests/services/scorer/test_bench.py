"""The bench compares equal work."""

import sys
from pathlib import Path

import pytest

from roundsmith.errors import ConfigError
from roundsmith.lab import MODEL
from roundsmith.scorer.bench import bench


@pytest.mark.slow
def test_the_bench_tells_ratios_against_the_bare_forward_pass_and_memory_against_its_bound() -> (
    None
):
    one, eight, use, memory = bench(str(MODEL), completions=24, pairs=1)
    for result in (one, eight):
        assert (result.unit, result.against) == ("tokens/s", "bare forward")
        assert result.ratio == pytest.approx(result.value / result.against_value)
        assert result.value > 0
    assert (use.unit, use.against) == ("TFLOP/s", "matrix products")
    assert 0 < use.ratio < 1
    assert (memory.unit, memory.against) == ("MiB", "bound")
    assert memory.value <= memory.against_value


def test_a_python_without_vllm_is_told(tiny: Path) -> None:
    with pytest.raises(ConfigError, match="--vllm: expected the Python of an environment"):
        bench(str(tiny), vllm=Path(sys.executable), completions=2, pairs=1)
