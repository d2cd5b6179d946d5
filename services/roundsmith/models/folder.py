"""From what a user named (a folder or a hub id) to a checked folder with safetensors weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.hashing import WEIGHT_FILES, weights_sha256
from roundsmith.models.headers import refuse_broken
from roundsmith.models.near import in_the_cache, near_by

CARD = "README.md"
"""Read for the licence; in no hash."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A folder that may be loaded. `commit` is the hub commit, or empty for a local folder."""

    name: str
    path: Path
    commit: str
    weights_sha256: str


def resolve(
    model: str, revision: str | None = None, trust_remote_code: bool = False
) -> ModelFolder:
    """The checked folder of `model`; a hub id is downloaded and its revision resolved to a commit.

    Raises ConfigError when the folder has no safetensors weights, needs code of its own that was
    not allowed, or cannot be had.
    """
    path, commit = (Path(model), "") if Path(model).is_dir() else _download(model, revision)
    check(path, trust_remote_code)
    return ModelFolder(model, path, commit, weights_sha256(path))


def check(path: Path, trust_remote_code: bool) -> None:
    """Raises ConfigError unless `path` is a Hugging Face folder that loads without its own code and
    whose weights are whole.
    """
    config = path / "config.json"
    if not any(path.glob("*.safetensors")):
        pickles = sorted(p.name for pattern in PICKLES for p in path.glob(pattern))
        seen = f"only pickled weights ({pickles[0]})" if pickles else _listing(path)
        raise ConfigError(
            f"{path}: saw {seen}, expected *.safetensors weights: save the model with "
            "save_pretrained (it writes safetensors), or name another folder or hub id"
            f"{near_by(path)}"
        )
    if not config.is_file():
        raise ConfigError(
            f"{path}: saw no config.json beside the weights, expected a Hugging Face folder: "
            "save model and tokenizer with save_pretrained"
        )
    for file in sorted(path.glob("*.safetensors")):
        refuse_broken(file)
    if not trust_remote_code and _wants_code(path):
        raise ConfigError(
            f"{path}: the model brings Python code of its own (auto_map), expected an "
            "architecture that "
            "transformers knows: read that code, then allow it with trust_remote_code"
        )


def refuse_quantized(path: Path) -> None:
    """Raises ConfigError where a checked folder has weights of few bits, which a generator can
    serve but no training can change.
    """
    if found := quantization(path):
        raise ConfigError(
            f"{path}: saw quantized weights ({found.get('quant_method', 'of no named method')}), "
            "expected those of full precision, which training changes: name the model that they "
            "were made from"
        )


def quantization(path: Path) -> dict[str, Any]:
    """How a checked folder says that its weights are of few bits, empty where they are not."""
    found: dict[str, Any] = _read(path / "config.json").get("quantization_config") or {}
    return found


def _wants_code(path: Path) -> bool:
    files = (path / "config.json", path / "tokenizer_config.json")
    return any(file.is_file() and "auto_map" in _read(file) for file in files)


def _read(file: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ConfigError(f"{file}: expected JSON, saw: {error}: save the model again") from error
    return content


def _listing(path: Path) -> str:
    names = sorted(p.name for p in path.iterdir()) if path.is_dir() else []
    return f"no weights among {names[:6]}" if names else "an empty folder"


def _download(model: str, revision: str | None) -> tuple[Path, str]:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        path = Path(
            snapshot_download(model, revision=revision, allow_patterns=[*WEIGHT_FILES, CARD])
        )
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ConfigError(
            f"model {model!r}: no such folder, and as a hub id it could not be fetched "
            f"({str(error).splitlines()[0]}): expected `lab`, a folder with safetensors weights or "
            f"a hub id (OWNER/NAME) that can be reached{near_by(Path(model))}; {in_the_cache()}"
        ) from error
    return path, path.name  # the hub's cache names a snapshot by its commit
