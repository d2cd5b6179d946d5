"""vLLM over a checkpoint of eight bits: its numbers, and others of the same kind in their place."""

import json
import logging
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from roundsmith.errors import ConfigError
from roundsmith.generator import vllm_adapter
from roundsmith.hashing import weights_sha256
from roundsmith.types import Completion, GenerateItem, Sampling
from tests.services.generator.driven import Driven, need, settings_of

LARGEST = 63
"""Of a weight's bits: a processor without VNNI cuts sums of larger ones."""
pytestmark = [pytest.mark.vllm, pytest.mark.slow]
MOST = 0.1
"""How far a log-probability may lie from that of the same weights in float32: what a layer reads
is rounded to eight bits, too."""
PROMPTS = ("def add", "def sub(a, b):", "x", "return")
ITEMS = [
    GenerateItem(prompt, prompt, Sampling(12, temperature=0.0), 0, top_logprobs=20)
    for prompt in PROMPTS
]
INT8 = {"num_bits": 8, "type": "int", "symmetric": True}
COMPRESSED = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {
        "all": {
            "targets": ["Linear"],
            "weights": {**INT8, "strategy": "channel", "dynamic": False},
            "input_activations": {**INT8, "strategy": "token", "dynamic": True},
        }
    },
}


def rounded(model: Path, folder: Path, *, packed: bool) -> Path:
    """A copy of a model whose linear layers have eight bits a number and a scale a row: as those
    bits where `packed`, else as the float32 numbers that they stand for.
    """
    shutil.copytree(model, folder)
    stored: dict[str, torch.Tensor] = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        if "_proj" not in name:
            stored[name] = tensor
            continue
        scale = tensor.abs().amax(dim=1, keepdim=True) / LARGEST
        bits = (tensor / scale).round()
        stored |= (
            {name: bits.to(torch.int8), f"{name}_scale": scale} if packed else {name: bits * scale}
        )
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    if packed:
        config = json.loads((folder / "config.json").read_text())
        config["quantization_config"] = COMPRESSED
        (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def models(
    tiny: Path, other_tiny: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, Path]]:
    """Two models of eight bits, each beside the same numbers in float32."""
    root = tmp_path_factory.mktemp("quantized")
    return {
        name: (
            rounded(model, root / f"{name}-int8", packed=True),
            rounded(model, root / f"{name}-float32", packed=False),
        )
        for name, model in (("one", tiny), ("other", other_tiny))
    }


class Said(logging.Handler):
    """What was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture(scope="module")
def said() -> Iterator[list[str]]:
    """What is logged while the engine starts, and after."""
    handler, logger = Said(), logging.getLogger("roundsmith")
    logger.addHandler(handler)
    yield handler.lines
    logger.removeHandler(handler)


@pytest.fixture(scope="module")
def quantized(models: dict[str, tuple[Path, Path]], said: list[str]) -> Iterator[Driven]:
    """Started as if this processor cut sums of bytes, whatever it does."""
    need("vllm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vllm_adapter, "sums_bytes_exactly", lambda: False)
        driven = Driven(settings_of("vllm", str(models["one"][0]), slots=4, kv_cache_gib=0.1))
    yield driven
    driven.close()


def with_tiles() -> bool:
    """Whether vLLM multiplies eight bits by AMX here."""
    return bool(torch.cpu._is_amx_tile_supported())


def drawn(driven: Driven) -> list[Completion]:
    return [completion for (completion,) in driven.ask(ITEMS)]


def wanted(folder: Path) -> list[Completion]:
    driven = Driven(settings_of("transformers", str(folder), slots=4))
    completions = drawn(driven)
    driven.close()
    return completions


def furthest(some: list[Completion], others: list[Completion]) -> float:
    """The largest difference between the first token's log-probabilities that both tell of;
    infinite where they tell of other tokens.
    """
    apart: list[float] = []
    for one, other in zip(some, others, strict=True):
        ours, theirs = (
            dict(zip(c.top_logprobs[0].token_ids, c.top_logprobs[0].logprobs, strict=True))
            for c in (one, other)
        )
        both = ours.keys() & theirs.keys()
        apart += [abs(ours[token] - theirs[token]) for token in both]
        apart += [math.inf] if len(both) < len(ours) // 2 else []
    return max(apart)


def test_a_quantized_model_has_its_numbers_before_and_after_others_took_their_place(
    quantized: Driven, models: dict[str, tuple[Path, Path]]
) -> None:
    first = drawn(quantized)
    one, other = wanted(models["one"][1]), wanted(models["other"][1])
    assert furthest(first, one) < MOST
    assert furthest(first, other) > 10 * MOST
    for name, numbers in (("other", other), ("one", one)):
        folder = models[name][0]
        quantized.run(quantized.engine.reload(folder, weights_sha256(folder)))
        assert quantized.engine.describe().rank_weights_sha256 == (weights_sha256(folder),)
        assert furthest(drawn(quantized), numbers) < MOST
    assert [c.token_ids for c in drawn(quantized)] == [c.token_ids for c in first]


def test_a_type_that_the_processor_does_not_multiply_is_refused_at_the_start(
    models: dict[str, tuple[Path, Path]],
) -> None:
    need("vllm")
    if not with_tiles():
        pytest.skip("no AMX: layers of eight bits take any type here")
    wrong = settings_of("vllm", str(models["one"][0]), kv_cache_gib=0.1, dtype="float32")
    with pytest.raises(ConfigError, match=r"no numbers of torch.float32 .*leave --dtype out"):
        Driven(wrong)


def test_a_processor_that_cuts_sums_of_bytes_is_told_of(quantized: Driven, said: list[str]) -> None:
    if with_tiles():
        pytest.skip("AMX: oneDNN does not compute layers of eight bits here")
    (told,) = (line for line in said if "multiplies numbers of eight bits" in line)
    assert "layers.0" in told
    assert "VNNI" in told


def test_weights_of_full_precision_can_not_take_the_place_of_quantized_ones(
    quantized: Driven, models: dict[str, tuple[Path, Path]], tiny: Path
) -> None:
    before = drawn(quantized)
    with pytest.raises(ConfigError, match=r"expected the same tensors .*weight_scale missing"):
        quantized.run(quantized.engine.reload(tiny, weights_sha256(tiny)))
    assert [c.token_ids for c in drawn(quantized)] == [c.token_ids for c in before]
