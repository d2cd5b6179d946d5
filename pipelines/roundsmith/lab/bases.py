"""Which folders are models of the lab, and what a base model was trained on."""

import json
from pathlib import Path

from roundsmith.lab import MODEL

MANIFEST = "training.jsonl"
"""In a base model's folder: the settings of its training, then each composition that it showed."""
_LONGEST_SETTINGS = 2**16
_SHAPE = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim")


def trained_on(manifest: Path) -> frozenset[str]:
    """The names of all compositions that the training of a manifest showed."""
    lines = manifest.read_text(encoding="utf-8").splitlines()[1:]
    return frozenset(json.loads(line) for line in lines)


def is_base(folder: Path) -> bool:
    """Whether `train_base` wrote this folder: it has a manifest, which begins with the settings."""
    try:
        with (folder / MANIFEST).open(encoding="utf-8") as lines:
            first = json.loads(lines.readline(_LONGEST_SETTINGS))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and {"seed", "tokens_per_batch", "matrix_rate"} <= first.keys()


def is_of_the_lab(folder: Path) -> bool:
    """Whether a folder is a base model of the lab, or has the shape of the shipped one, as every
    checkpoint has that was trained from it.
    """
    return is_base(folder) or _shape(folder) == _shape(MODEL)


def _shape(folder: Path) -> tuple[object, ...] | None:
    try:
        config = json.loads((folder / "config.json").read_bytes())
        return tuple(config[name] for name in _SHAPE)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
