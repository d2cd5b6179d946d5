"""Content hashes, weight versions and seeds: the three numbers that make a round repeatable."""

import hashlib
import json
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

from roundsmith.errors import ConfigError

WEIGHT_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")


def content_hash(*parts: object) -> str:
    """The sha256, as 64 hex digits, of the parts' canonical JSON (sorted keys, no spaces, UTF-8).

    Parts are JSON values; anything else raises TypeError, so that a hash never depends on a repr.
    """
    text = json.dumps(
        parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def derive_seed(seed: int, *path: str | int) -> int:
    """The seed of one draw, in [0, 2**63): H(seed, path), so that a larger n keeps the earlier
    samples.

    For a sample the path is (task, chain step, index) (design section 3).
    """
    return int(content_hash("seed", seed, *path)[:16], 16) >> 1


def weights_sha256(folder: Path) -> str:
    """The weight version of a Hugging Face folder: the hash of its sorted (name, sha256 of file)
    list.

    Weights, configuration, tokenizer and chat template count; anything else in the folder does not.
    Raises ConfigError when the folder holds no safetensors file.
    """
    names = {path for pattern in WEIGHT_FILES for path in folder.glob(pattern)}
    if not any(path.suffix == ".safetensors" for path in names):
        raise ConfigError(
            f"{folder}: expected a Hugging Face folder with *.safetensors, saw "
            f"{sorted(p.name for p in folder.iterdir())[:8] if folder.is_dir() else 'no folder'}: "
            "give a model folder with safetensors weights, or a hub id"
        )
    return weights_version({path.name: file_sha256(path) for path in names})


def is_weight_file(name: str) -> bool:
    """Whether a file of a model folder, by its path in it, counts for the weight version."""
    return "/" not in name and any(fnmatch(name, pattern) for pattern in WEIGHT_FILES)


def weights_version(sha256_by_name: Mapping[str, str]) -> str:
    """The weight version of a folder of these files, all of WEIGHT_FILES that it has."""
    return content_hash("weights", [list(file) for file in sorted(sha256_by_name.items())])


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
