"""What may be served, and what a refusal says."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from roundsmith.config import child_environment, has_bfloat16_units
from roundsmith.errors import ConfigError
from roundsmith.hashing import weights_sha256
from roundsmith.models.folder import refuse_quantized, resolve
from roundsmith.models.loading import alone_tokens, context_tokens, load, served_dtype
from roundsmith.models.settings import ModelSettings
from roundsmith.types import ChatMessage

HALF = "bfloat16" if has_bfloat16_units() else "float32"
"""What a CPU multiplies large models in."""


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may damage."""
    return shutil.copytree(tiny, tmp_path / "model")


def test_what_is_served_stays_what_it_is_though_its_file_is_written_over(folder: Path) -> None:
    loaded = load(ModelSettings(model=str(folder)))
    before = [parameter.clone() for parameter in loaded.model.parameters()]
    file = folder / "model.safetensors"
    content = file.read_bytes()
    with file.open("r+b") as stream:  # in place, as whoever saves a model again may do it
        stream.write(content[:-4000] + bytes(4000))
    after = list(loaded.model.parameters())
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


def edit(file: Path, **values: object) -> None:
    """Set keys of a JSON file."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()


def own_code(folder: Path) -> None:
    edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling.Mine"})


def unknown_kind(folder: Path) -> None:
    edit(folder / "config.json", model_type="nobody-knows")


def needs_a_library(folder: Path) -> None:
    edit(folder / "config.json", quantization_config={"quant_method": "compressed-tensors"})


def half_json(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": ')


def cut_off(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def cut_in_the_header(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:20])


def no_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((4).to_bytes(8, "little") + b"{{{{")


def lacks_tensors(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def small_vocabulary(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"][:100].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    edit(folder / "config.json", vocab_size=100)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_weights, r"saw no weights among .*expected \*\.safetensors weights: save the model"),
        (pickled, r"saw only pickled weights \(pytorch_model\.bin\), expected \*\.safetensors"),
        (no_config, r"saw no config\.json beside the weights, expected"),
        (no_tokenizer, r"no tokenizer .*expected tokenizer\.json"),
        (own_code, r"Python code of its own \(auto_map\).*trust_remote_code"),
        (unknown_kind, r"the weights do not load .*nobody-knows"),
        (needs_a_library, r"the weights do not load .*compressed-tensors.* is required"),
        (half_json, r"config\.json: expected JSON"),
        (
            cut_off,
            r"model/model\.safetensors: expected a whole safetensors file, saw \d+ bytes where",
        ),
        (cut_in_the_header, r"safetensors: expected a whole .*in which its header does not fit"),
        (no_header, r"safetensors: expected a whole .*a header that can not be read"),
        (lacks_tensors, r"the weights lack \['model\.norm\.weight'\]"),
        (small_vocabulary, r"the tokenizer has 40\d tokens, the model 100: expected"),
    ],
)
def test_a_folder_that_cannot_be_served_is_refused_with_a_remedy(
    folder: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(folder)
    with pytest.raises(ConfigError, match=message):
        load(ModelSettings(model=str(folder)))


def test_quantized_weights_are_refused_where_they_are_to_be_trained(folder: Path) -> None:
    refuse_quantized(folder)
    needs_a_library(folder)
    with pytest.raises(ConfigError, match=r"saw quantized weights \(compressed-tensors\)"):
        refuse_quantized(folder)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, 2048),
        (
            {"rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 300}},
            300,
        ),
        (
            {
                "rope_parameters": {"full_attention": {"rope_type": "longrope"}},
                "original_max_position_embeddings": 400,
            },
            400,
        ),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}, 2048),
        ({"layer_types": ["chunked_attention"], "attention_chunk_size": 64}, 64),
        ({"layer_types": ["full_attention"], "attention_chunk_size": 64}, 2048),
    ],
)
def test_no_text_is_longer_than_what_is_the_same_in_any_company(
    config: dict[str, object], expected: int
) -> None:
    made = SimpleNamespace(max_position_embeddings=2048, **config)
    assert context_tokens(made, 0, alone_tokens(made)) == expected
    if expected < 2048:
        with pytest.raises(ConfigError, match=f"saw 2000, expected at most {expected}"):
            context_tokens(made, 2000, alone_tokens(made))


def test_a_name_that_is_neither_folder_nor_reachable_says_what_was_tried() -> None:
    with pytest.raises(ConfigError, match="no such folder, and as a hub id"):
        resolve("./not/here/at-all")


def test_models_near_one_that_is_not_found_are_named(folder: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "runs/first/round-1/checkpoint"
    shutil.copytree(folder, checkpoint)
    for given in ("runs/first", "runs/first/round-2", "runs/second"):
        with pytest.raises(ConfigError, match=f"; near by there is {checkpoint}"):
            resolve(str(tmp_path / given))


def test_what_the_cache_of_a_hub_holds_is_told_where_no_hub_answers(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "hub/models--someone--something/snapshots/c0ffee")
    script = (
        "from roundsmith.models.folder import refuse_quantized, resolve; resolve('someone/other')"
    )
    environment = child_environment(HF_HUB_CACHE=str(tmp_path / "hub"), HF_HUB_OFFLINE="1")
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert "only the hub's cache, which holds someone/something, is looked in" in done.stderr


def test_a_hub_id_is_resolved_to_the_commit_of_its_snapshot(folder: Path, tmp_path: Path) -> None:
    commit, cache = "c0ffee" + "0" * 34, tmp_path / "hub"
    repository = cache / "models--someone--something"
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    code = (
        "from roundsmith.models.folder import resolve; r = resolve('someone/something'); "
        "print(r.name, r.commit, r.weights_sha256)"
    )
    offline = child_environment(HF_HUB_CACHE=str(cache), HF_HUB_OFFLINE="1")
    done = subprocess.run(
        [sys.executable, "-c", code], env=offline, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["someone/something", commit, weights_sha256(folder)]


def test_float32_is_the_default_on_a_cpu_and_bfloat16_an_option(tiny: Path) -> None:
    def dtype_of(**settings: str) -> torch.dtype:
        loaded = load(
            ModelSettings.model_validate({"model": str(tiny), "device": "cpu", **settings})
        )
        dtype: torch.dtype = loaded.model.dtype
        return dtype

    assert dtype_of() == torch.float32
    assert dtype_of(dtype="bfloat16") == torch.bfloat16


def test_the_context_is_the_models_own_or_shorter(tiny: Path) -> None:
    assert load(ModelSettings(model=str(tiny))).context_tokens == 256
    assert load(ModelSettings(model=str(tiny), context_tokens=100)).context_tokens == 100
    with pytest.raises(ConfigError, match="context_tokens: saw 257, expected at most 256"):
        load(ModelSettings(model=str(tiny), context_tokens=257))


def test_messages_need_a_chat_template(plain_tiny: Path) -> None:
    loaded = load(ModelSettings(model=str(plain_tiny)))
    assert not loaded.has_chat_template
    with pytest.raises(ConfigError, match="no chat template"):
        loaded.render((ChatMessage("user", "hello"),))


@pytest.mark.parametrize(
    "written",
    [
        "{{ raise_exception('users speak first') }}",
        "{{ messages[7]['role'].upper() }}",
        "{{ 1 + messages[0]['content'] }}",
    ],
)
def test_messages_that_the_template_refuses_are_the_callers_error(
    folder: Path, written: str
) -> None:
    template = folder / "chat_template.jinja"
    assert template.exists()
    template.write_text(written)
    loaded = load(ModelSettings(model=str(folder)))
    with pytest.raises(ConfigError, match=r"refused the messages .*roles seen: \['assistant'\]"):
        loaded.render((ChatMessage("assistant", "hello"),))


@pytest.mark.parametrize(
    ("asked", "device", "parameters", "quantized", "served"),
    [
        ("auto", "cpu", 10**9, False, HALF),
        ("auto", "cpu", 2 * 10**6, False, "float32"),
        ("auto", "cpu", 2 * 10**6, True, HALF),
        ("auto", "cuda", 10**9, False, "bfloat16"),
        ("auto", "cuda:1", 2 * 10**6, False, "float32"),
        ("auto", "cuda:1", 2 * 10**6, True, "bfloat16"),
        ("float16", "cuda", 2 * 10**6, False, "float16"),
        ("float32", "cuda", 2 * 10**6, True, "float32"),
        ("bfloat16", "cpu", 10**9, False, "bfloat16"),
    ],
)
def test_the_served_type_follows_from_setting_device_size_and_bits(
    asked: str, device: str, parameters: int, quantized: bool, served: str
) -> None:
    assert served_dtype(asked, device, parameters, quantized) == served


def test_a_model_is_served_alike_whatever_type_it_is_stored_in(tiny: Path, tmp_path: Path) -> None:
    settings = ModelSettings(model=str(tmp_path), device="cpu")
    loaded = load(ModelSettings(model=str(tiny), device="cpu"))
    loaded.model.to(torch.bfloat16).save_pretrained(tmp_path)
    loaded.tokenizer.save_pretrained(tmp_path)
    assert load(settings).model.dtype == torch.float32
