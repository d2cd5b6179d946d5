"""A model over two ranks of vLLM: the same completions, and weights that are all of one version."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from roundsmith.errors import ConfigError
from roundsmith.hashing import weights_sha256
from roundsmith.types import GenerateItem, Sampling
from tests.processes import alive, command_line, descendants
from tests.services.generator.driven import Driven, need, settings_of

pytestmark = [pytest.mark.vllm, pytest.mark.slow]
GREEDY = Sampling(16, temperature=0.0)
ITEMS = [GenerateItem(text, text, GREEDY, 0) for text in ("def add", "def sub(a, b):", "x")]


@pytest.fixture(scope="module")
def split(tiny: Path) -> Iterator[Driven]:
    """The tiny model, each layer in halves. vLLM gives each rank a NUMA node, unless told cores."""
    need("vllm")
    cores = sorted(os.sched_getaffinity(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_OMP_THREADS_BIND", f"{cores[0]}|{cores[-1]}")
        others = set(descendants(os.getpid()))  # an engine that other tests share goes on
        driven = Driven(
            settings_of("vllm", str(tiny), slots=4, kv_cache_gib=0.1, tensor_parallel=2)
        )
        yield driven
        engine = [
            pid
            for pid in descendants(os.getpid())
            if pid not in others and b"VLLM::" in command_line(pid)
        ]
        assert len([pid for pid in engine if b"Worker" in command_line(pid)]) >= 2
        driven.close()
        deadline = time.monotonic() + 300
        while any(map(alive, engine)):
            assert time.monotonic() < deadline, "a rank outlives its engine"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def whole(tiny: Path) -> Iterator[Driven]:
    """The other engine, which has the model in one piece."""
    driven = Driven(settings_of("transformers", str(tiny), slots=4))
    yield driven
    driven.close()


def drawn(driven: Driven) -> list[tuple[int, ...]]:
    return [completion.token_ids for (completion,) in driven.ask(ITEMS)]


def test_two_ranks_draw_what_one_does_before_and_after_new_weights_which_both_have(
    split: Driven, whole: Driven, tiny: Path, other_tiny: Path
) -> None:
    for folder in (tiny, other_tiny, tiny):
        version = weights_sha256(folder)
        for driven in (split, whole):
            driven.run(driven.engine.reload(folder, version))
        assert split.engine.describe().rank_weights_sha256 == (version, version)
        assert drawn(split) == drawn(whole)


def test_weights_that_are_no_good_in_one_ranks_part_are_refused_by_both(
    split: Driven, tiny: Path, other_tiny: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(other_tiny, tmp_path / "broken")
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    tensors[name][-1, 0] = float("nan")  # the last rows are the second rank's
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    before, version = drawn(split), weights_sha256(tiny)
    with pytest.raises(ConfigError, match="not finite"):
        split.run(split.engine.reload(folder, weights_sha256(folder)))
    assert split.engine.describe().rank_weights_sha256 == (version, version)
    assert drawn(split) == before
