"""Whether a folder is a whole, plain LoRA of a model: by its config and headers alone."""

import json
import shutil
from pathlib import Path
from typing import Any

from roundsmith.errors import ConfigError, WeightsMismatch
from roundsmith.hashing import is_weight_file, weights_sha256
from roundsmith.models.headers import tensor_shapes

PREFIX = "base_model.model."
"""What peft writes before the name of a layer."""
_PLAIN: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "use_dora": (False, None),
    "bias": ("none", None),
    "modules_to_save": (None, []),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "alora_invocation_tokens": (None, []),  # acts from a place in the text on
}
"""Fields of adapter_config.json, with the values that mean a plain LoRA."""


def check_adapter(folder: Path, sha256: str, model: Path) -> None:
    """Raises ConfigError unless the folder is a whole, plain LoRA of layers of the model in the
    folder `model`, WeightsMismatch when its version is not `sha256`.
    """
    config, tensors = folder / "adapter_config.json", folder / "adapter_model.safetensors"
    if not config.is_file() or not tensors.is_file():
        raise ConfigError(
            f"{folder}: expected adapter_config.json and adapter_model.safetensors, as peft saves "
            f"them, saw {sorted(p.name for p in folder.glob('*'))[:6] or 'nothing'}"
        )
    _refuse_special(config, adapter_config(folder))
    _refuse_misfits(folder, tensor_shapes(folder), tensor_shapes(model))
    if (seen := weights_sha256(folder)) != sha256:
        raise WeightsMismatch(
            f"{folder}: its version is {seen}, expected {sha256}: the folder is another one, or "
            "not completely written; name the right one"
        )


def copy_adapter(folder: Path, into: Path, sha256: str) -> Path:
    """A copy that stays as it is, of version `sha256`, for an engine that reads an adapter again
    later. Raises WeightsMismatch where the folder has changed meanwhile.
    """
    into.mkdir()
    for path in folder.iterdir():
        if is_weight_file(path.name):
            shutil.copyfile(path, into / path.name)
    if (seen := weights_sha256(into)) != sha256:
        raise WeightsMismatch(
            f"{folder}: its version became {seen} while it was read, expected {sha256}: write each "
            "version to a folder of its own"
        )
    return into


def adapter_config(folder: Path) -> dict[str, Any]:
    """The config of an adapter; ConfigError when it is none."""
    file = folder / "adapter_config.json"
    try:
        config = json.loads(file.read_text("utf-8"))
        if config["r"] > 0 and config["lora_alpha"] > 0:
            return dict(config)
        seen = f"r {config['r']} and lora_alpha {config['lora_alpha']}"
    except (ValueError, TypeError, LookupError) as error:
        seen = f"{type(error).__name__}: {error}"
    raise ConfigError(f"{file}: expected JSON with r and lora_alpha above 0, saw {seen}")


def _refuse_special(file: Path, config: dict[str, Any]) -> None:
    for name, plain in _PLAIN.items():
        if config.get(name, plain[0]) not in plain:
            raise ConfigError(
                f"{file}: expected a plain LoRA, with {name} {plain[0]!r}, saw {config[name]!r}"
            )


def _refuse_misfits(
    folder: Path, adapter: dict[str, tuple[int, ...]], model: dict[str, tuple[int, ...]]
) -> None:
    a, b = (
        {n.removesuffix(end).removeprefix(PREFIX): s for n, s in adapter.items() if n.endswith(end)}
        for end in (".lora_A.weight", ".lora_B.weight")
    )
    if len(a) + len(b) != len(adapter) or a.keys() != b.keys() or not a:
        raise ConfigError(
            f"{folder}: expected a lora_A.weight and a lora_B.weight for each layer, saw "
            f"{sorted(adapter)[:4]}"
        )
    for layer in a:
        shape = model.get(f"{layer}.weight", ())
        if (b[layer][0], a[layer][1]) != shape or a[layer][0] != b[layer][1]:
            raise ConfigError(
                f"{folder}: expected matrices that fit the served model, saw {layer} of {b[layer]} "
                f"times {a[layer]} for a layer of {shape or 'no such name'}"
            )
