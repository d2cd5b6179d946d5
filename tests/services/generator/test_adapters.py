"""Adapters by name: what they compute, several at once, replaced, taken away, kept by a reload."""

import asyncio
import gc
import json
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from roundsmith.errors import ConfigError, EngineError, UnknownName, Unsupported, WeightsMismatch
from roundsmith.generator.engine import TransformersEngine
from roundsmith.generator.model_info import adapted_version
from roundsmith.generator.settings import GeneratorSettings, VllmSettings
from roundsmith.generator.vllm_engine import VllmEngine
from roundsmith.hashing import weights_sha256
from roundsmith.types import Completion, GenerateItem, Sampling
from tests.services.generator.driven import Driven, need

RANK, ALPHA = 8, 16
LAYERS = ("self_attn.q_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.down_proj")
GREEDY = Sampling(24, temperature=0.0)
CLOSE = 1e-3
"""Matrices added to the weights, or to what they give: how far the numbers may lie apart."""


def make_adapter(folder: Path, model: Path, seed: int, **config: object) -> Path:
    """An adapter as peft saves one, with matrices that change much."""
    loaded: Any = plain(model)
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, module in loaded.named_modules():
        if name.endswith(LAYERS):
            out, into = module.weight.shape
            a = torch.randn(RANK, into, generator=generator) * 0.2
            b = torch.randn(out, RANK, generator=generator) * 0.2
            tensors[f"base_model.model.{name}.lora_A.weight"] = a
            tensors[f"base_model.model.{name}.lora_B.weight"] = b
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    given = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": ALPHA,
        "target_modules": sorted({layer.rpartition(".")[2] for layer in LAYERS}),
        "bias": "none",
        "task_type": "CAUSAL_LM",
    }
    (folder / "adapter_config.json").write_text(json.dumps(given | config))
    return folder


def plain(model: Path) -> Any:
    """The model as transformers loads it."""
    from transformers import AutoModelForCausalLM

    load: Any = AutoModelForCausalLM.from_pretrained
    return load(model, dtype=torch.float32)


def merged(model: Path, adapter: Path | None) -> Any:
    """The model with the adapter added to its weights."""
    from safetensors.torch import load_file

    loaded = plain(model)
    if adapter is None:
        return loaded
    tensors = load_file(adapter / "adapter_model.safetensors")
    for name, module in loaded.named_modules():
        a = tensors.get(f"base_model.model.{name}.lora_A.weight")
        if a is not None:
            b = tensors[f"base_model.model.{name}.lora_B.weight"]
            module.weight.data += ALPHA / RANK * (b @ a)
    return loaded


def assert_drawn_by(model: Any, item: GenerateItem, completion: Completion) -> None:
    """The completion is what the model draws greedily, as far as float32 can tell."""
    prompt = [i for i in item.prompt if isinstance(i, int)]
    ids = torch.tensor([[*prompt, *completion.token_ids]])
    with torch.inference_mode():
        logprobs_LV = torch.log_softmax(model(ids).logits[0, len(prompt) - 1 : -1].double(), -1)
    drawn_L = logprobs_LV.gather(1, torch.tensor(completion.token_ids)[:, None])[:, 0]
    assert list(completion.logprobs) == pytest.approx(drawn_L.tolist(), abs=CLOSE)
    assert bool((drawn_L >= logprobs_LV.max(-1).values - CLOSE).all())


@pytest.fixture(scope="module")
def folders(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three adapters of the tiny model."""
    root = tmp_path_factory.mktemp("adapters")
    return [make_adapter(root / str(seed), tiny, seed) for seed in range(3)]


@pytest.fixture
def two(driven: Driven, folders: list[Path]) -> Iterator[Driven]:
    """The engine with adapters `a` and `b`, and without any afterwards."""
    for name, folder in zip("ab", folders, strict=False):
        driven.run(driven.engine.load_adapter(name, folder, weights_sha256(folder)))
    yield driven
    for name in "ab":
        driven.run(driven.engine.unload_adapter(name))
    assert driven.engine.describe().adapters == ()


def items(count: int) -> list[GenerateItem]:
    """Items of adapters a and b and of none in turn."""
    return [
        GenerateItem(f"{i}", (5 + i, 6, 7, 8), GREEDY, i, adapter=("", "a", "b")[i % 3])
        for i in range(count)
    ]


def test_several_adapters_at_once_draw_what_their_merged_models_draw(
    two: Driven, tiny: Path, folders: list[Path]
) -> None:
    base = weights_sha256(tiny)
    by_name = {"": None, "a": folders[0], "b": folders[1]}
    models = {name: merged(tiny, folder) for name, folder in by_name.items()}
    asked = items(9)
    for item, (completion,) in zip(asked, two.ask(asked), strict=True):
        assert_drawn_by(models[item.adapter], item, completion)
        folder = by_name[item.adapter]
        version = adapted_version(base, weights_sha256(folder)) if folder else base
        assert completion.weights_sha256 == version


def test_the_model_names_its_adapters_and_what_their_samples_carry(
    two: Driven, tiny: Path, folders: list[Path]
) -> None:
    base = weights_sha256(tiny)
    told = {a.name: (a.sha256, a.weights_sha256) for a in two.engine.describe().adapters}
    versions = [weights_sha256(folder) for folder in folders[:2]]
    assert told == {n: (v, adapted_version(base, v)) for n, v in zip("ab", versions, strict=True)}


def test_an_adapter_is_replaced_by_name_and_taken_away(two: Driven, folders: list[Path]) -> None:
    (before,) = two.ask([GenerateItem("i", (5, 6, 7), GREEDY, 0, adapter="a")])
    with pytest.raises(Unsupported, match="at most 2 loaded"):
        two.run(two.engine.load_adapter("c", folders[2], weights_sha256(folders[2])))
    two.run(two.engine.load_adapter("a", folders[2], weights_sha256(folders[2])))
    (after,) = two.ask([GenerateItem("i", (5, 6, 7), GREEDY, 0, adapter="a")])
    assert before[0].token_ids != after[0].token_ids
    two.run(two.engine.unload_adapter("a"))
    two.run(two.engine.unload_adapter("a"))  # again: nothing to do
    with pytest.raises(UnknownName, match=r"expected one of \['b'\]"):
        two.ask([GenerateItem("i", (5, 6, 7), GREEDY, 0, adapter="a")])


def test_what_draws_with_a_replaced_adapter_ends_on_it(two: Driven, folders: list[Path]) -> None:
    long = GenerateItem("i", (5, 6, 7), Sampling(120, temperature=0.0), 0, adapter="a")
    (golden,) = two.ask([long])
    other = weights_sha256(folders[2])

    async def scenario() -> list[Any]:
        asked = asyncio.create_task(two.collect(long))
        while not (two.engine.running or asked.done()):
            await asyncio.sleep(0.001)
        await two.engine.load_adapter("a", folders[2], other)
        return await asked

    assert two.run(scenario())[0].token_ids == golden[0].token_ids


def test_adapters_outlive_a_reload_and_their_samples_name_the_new_weights(
    two: Driven, tiny: Path, other_tiny: Path, folders: list[Path]
) -> None:
    new = weights_sha256(other_tiny)
    two.run(two.engine.reload(other_tiny, new))
    try:
        item = GenerateItem("i", (5, 6, 7, 8), GREEDY, 0, adapter="a")
        ((completion,),) = two.ask([item])
        assert_drawn_by(merged(other_tiny, folders[0]), item, completion)
        assert completion.weights_sha256 == adapted_version(new, weights_sha256(folders[0]))
    finally:
        two.run(two.engine.reload(tiny, weights_sha256(tiny)))


def test_a_reload_keeps_the_adapter_whose_folder_has_become_another_or_is_gone(
    driven: Driven, tiny: Path, other_tiny: Path, folders: list[Path], tmp_path: Path
) -> None:
    changed, gone = (Path(shutil.copytree(folders[0], tmp_path / name)) for name in ("a", "b"))
    for name, folder in (("a", changed), ("b", gone)):
        driven.run(driven.engine.load_adapter(name, folder, weights_sha256(folder)))
    shutil.copytree(folders[1], changed, dirs_exist_ok=True)
    shutil.rmtree(gone)
    new, expected = weights_sha256(other_tiny), merged(other_tiny, folders[0])
    try:
        driven.run(driven.engine.reload(other_tiny, new))
        for name in "ab":
            item = GenerateItem("i", (5, 6, 7, 8), GREEDY, 0, adapter=name)
            ((completion,),) = driven.ask([item])
            assert_drawn_by(expected, item, completion)
            assert completion.weights_sha256 == adapted_version(new, weights_sha256(folders[0]))
    finally:
        driven.run(driven.engine.reload(tiny, weights_sha256(tiny)))
        for name in "ab":
            driven.run(driven.engine.unload_adapter(name))


@pytest.mark.vllm
def test_a_reload_that_an_adapter_can_not_follow_is_refused_and_both_go_on(
    tiny: Path, other_tiny: Path, folders: list[Path]
) -> None:
    need("vllm")
    settings = VllmSettings(model=str(tiny), slots=4, kv_cache_gib=0.1, max_adapters=2)
    driven = Driven(settings)
    engine, adapter, new = driven.engine, weights_sha256(folders[0]), weights_sha256(other_tiny)
    assert isinstance(engine, VllmEngine)
    item = GenerateItem("i", (5, 6, 7, 8), GREEDY, 0, adapter="a")
    try:
        driven.run(engine.load_adapter("a", folders[0], adapter))
        before = driven.ask([item])
        shutil.rmtree(Path(engine._started.scratch.name, "adapter-1"))  # as who tidies /tmp does
        with pytest.raises(ConfigError, match=r"'a': its copy in .* unload it and load it"):
            driven.run(engine.reload(other_tiny, new))
        assert driven.ask([item]) == before
        driven.run(engine.unload_adapter("a"))
        driven.run(engine.load_adapter("a", folders[0], adapter))
        driven.run(engine.reload(other_tiny, new))
        ((completion,),) = driven.ask([item])
        assert completion.weights_sha256 == adapted_version(new, adapter)
        (kept,) = engine._adapters.all()
        (kept.folder / "adapter_config.json").write_text('{"r": 8}')  # what passes for whole
        kept.sha256 = weights_sha256(kept.folder)
        with pytest.raises(EngineError, match="'a' does not load on new weights"):
            driven.run(engine.reload(tiny, weights_sha256(tiny)))
        assert "'a' does not load" in str(driven.run(engine.failed()))
    finally:
        driven.close()


def test_a_reload_in_the_middle_of_a_draw_with_an_adapter_leaves_nothing_in_memory(
    tiny: Path, other_tiny: Path, folders: list[Path]
) -> None:
    driven = Driven(GeneratorSettings(model=str(tiny), slots=2))
    engine = driven.engine
    assert isinstance(engine, TransformersEngine)
    driven.run(engine.load_adapter("a", folders[0], weights_sha256(folders[0])))
    gc.collect()
    gc.disable()
    try:
        driven.ask([GenerateItem("i", (5, 6, 7), GREEDY, 0, adapter="a")])
        held = weakref.ref(engine._scheduler.loaded.model)
        driven.run(engine.reload(other_tiny, weights_sha256(other_tiny)))
        driven.ask([GenerateItem("i", (5, 6, 7), GREEDY, 0, adapter="a")])
        assert held() is None
    finally:
        gc.enable()
        driven.close()


@pytest.mark.parametrize(
    "damage", ["other hash", "no config", "cut off", "not lora", "activated", "misfit"]
)
def test_a_broken_adapter_is_refused_and_nothing_changes(
    driven: Driven, tiny: Path, tmp_path: Path, damage: str
) -> None:
    folder = make_adapter(tmp_path / "adapter", tiny, 7)
    tensors = folder / "adapter_model.safetensors"
    config = folder / "adapter_config.json"
    match damage:
        case "no config":
            config.unlink()
        case "cut off":
            tensors.write_bytes(tensors.read_bytes()[:-10])
        case "not lora":
            config.write_text(json.dumps(json.loads(config.read_text()) | {"peft_type": "IA3"}))
        case "activated":
            special = {"alora_invocation_tokens": [5, 6]}
            config.write_text(json.dumps(json.loads(config.read_text()) | special))
        case "misfit":
            name = "base_model.model.model.layers.0.self_attn.q_proj"
            wide = {f"{name}.lora_A.weight": torch.ones(8, 9)}
            save_file(wide | {f"{name}.lora_B.weight": torch.ones(9, 8)}, tensors)
    sha256 = "0" * 64 if damage == "other hash" else weights_sha256(folder)
    with pytest.raises((ConfigError, WeightsMismatch)):
        driven.run(driven.engine.load_adapter("bad", folder, sha256))
    assert driven.engine.describe().adapters == ()
    assert driven.ask([GenerateItem("i", "def", Sampling(3), 0)])
