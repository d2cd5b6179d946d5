"""The bench compares equal work."""

import asyncio
import time
from pathlib import Path

import pytest

from roundsmith.generator.bench import bench_transformers
from roundsmith.generator.bench_replay import SATURATED, bench_replay
from roundsmith.generator.bench_swap import bench_swap
from roundsmith.generator.bench_vllm import bench_vllm
from roundsmith.generator.settings import GeneratorSettings, VllmSettings
from roundsmith.generator.start import start_engine
from tests.services.generator.driven import need


@pytest.mark.slow
def test_the_bench_tells_a_ratio_against_generate_and_what_products_it_used(
    tiny: Path,
) -> None:
    settings = GeneratorSettings(model=str(tiny), slots=8)
    result, use = bench_transformers(settings, requests=12, pairs=1)
    assert (result.unit, result.against) == ("tokens/s", "generate")
    assert result.ratio == pytest.approx(result.value / result.against_value)
    assert result.value > 0
    assert (use.unit, use.against) == ("TFLOP/s", "matrix products")
    assert 0 < use.ratio < 1


@pytest.mark.slow
def test_the_replay_tells_how_much_of_its_rate_arrives_up_to_where_it_is_saturated() -> None:
    found = asyncio.run(bench_replay(requests=32, tokens=20, rate=4000))
    for kind in ("whole", "deltas"):
        rows = [one for one in found if kind in one.case]
        rates = [4000 * 2**step for step in range(len(rows))]
        assert [one.against_value for one in rows] == rates
        assert all(one.ratio == pytest.approx(one.value / one.against_value) for one in rows)
        assert all(SATURATED <= one.ratio <= 1.01 for one in rows[:-1])
        assert 0 < rows[-1].ratio < SATURATED


def test_a_swap_is_measured_to_the_first_token_of_the_new_weights(tiny: Path) -> None:
    async def swap() -> tuple[float, float]:
        engine = await start_engine(GeneratorSettings(model=str(tiny), slots=2))
        before = engine.describe().weights_sha256
        begun = time.monotonic()
        result = await bench_swap(engine, str(tiny))
        took_s = time.monotonic() - begun
        assert engine.describe().weights_sha256 == before
        await engine.close()
        return result.value, took_s

    value, took_s = asyncio.run(swap())
    assert 0 < value < took_s


@pytest.mark.slow
@pytest.mark.vllm
def test_the_service_on_vllm_is_compared_with_async_llm_on_the_same_prompts(tiny: Path) -> None:
    need("vllm")
    settings = VllmSettings(model=str(tiny), slots=8, kv_cache_gib=0.1)
    whole, deltas, first = asyncio.run(bench_vllm(settings, concurrency=(8,), pairs=3))
    assert (whole.against, deltas.against) == ("AsyncLLM", "AsyncLLM, deltas")
    assert "3 pairs, ratios" in whole.case
    assert min(whole.value, whole.against_value, deltas.value, deltas.against_value) > 0
    assert first.unit == "ms"
