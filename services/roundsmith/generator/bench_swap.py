"""How long new weights take: from the call to the first token drawn with them."""

import shutil
import statistics
import tempfile
import time
from pathlib import Path

from roundsmith.bench import BenchResult
from roundsmith.generator.service import GeneratorEngine
from roundsmith.generator.settings import GeneratorSettings, VllmSettings
from roundsmith.generator.start import start_engine
from roundsmith.hashing import weights_sha256
from roundsmith.models.folder import resolve
from roundsmith.types import CompletionDelta, GenerateItem, Sampling

LIMIT_S = 2.0
SWAPS = 5


async def bench_swap_of(settings: GeneratorSettings | VllmSettings) -> BenchResult:
    """The swap of an engine that is started for it."""
    engine = await start_engine(settings)
    try:
        return await bench_swap(engine, settings.model)
    finally:
        await engine.close()


async def bench_swap(engine: GeneratorEngine, model: str) -> BenchResult:
    """Swaps between the model and a copy of it whose version differs; the median swap is told."""
    served = resolve(model).path
    with tempfile.TemporaryDirectory() as temporary:
        other = shutil.copytree(served, Path(temporary, "other"))
        (other / "note.txt").write_text("the same weights under another version\n")
        seconds = []
        for number in range(SWAPS):
            folder = (other, served)[number % 2]
            version = weights_sha256(folder)
            begun = time.perf_counter()
            await engine.reload(folder, version)
            await _first_token(engine)
            seconds.append(time.perf_counter() - begun)
        await engine.reload(served, weights_sha256(served))
    median = statistics.median(seconds)
    case = f"{engine.describe().engine}: weight swap, from the call to the first token"
    return BenchResult(case, median, "s", "limit", LIMIT_S, LIMIT_S / median)


async def _first_token(engine: GeneratorEngine) -> None:
    sampling = Sampling(2, temperature=0.0)
    async for told in engine.generate(GenerateItem("swap", "def", sampling, 0, deltas=True)):
        if isinstance(told, CompletionDelta):
            return
