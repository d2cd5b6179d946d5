"""Weights must be numbers: one that is not spoils what reaches it, which not every prompt does."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from roundsmith.errors import ConfigError

if TYPE_CHECKING:
    import torch


def refuse_not_finite(path: Path, tensors: "Iterable[tuple[str, torch.Tensor]]") -> None:
    """Raises ConfigError, which names the first tensor of a model folder that has a NaN or an
    infinity.
    """
    if name := first_not_finite(tensors):
        raise ConfigError(
            f"{path}: {name} has numbers that are not finite, expected finite ones: the "
            "checkpoint is damaged or diverged in training; name an earlier one"
        )


def first_not_finite(tensors: "Iterable[tuple[str, torch.Tensor]]") -> str:
    """The name of the first tensor that has a NaN or an infinity; empty where none has."""
    return next(
        (
            name
            for name, tensor in tensors
            if tensor.is_floating_point() and not bool(_wide(tensor).isfinite().all())
        ),
        "",
    )


def stored_tensors(folder: Path) -> "Iterator[tuple[str, torch.Tensor]]":
    """The tensors in a folder's safetensors files, one at a time, by name."""
    from safetensors import safe_open

    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(str(file), framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  # not a mapping
                yield name, tensors.get_tensor(name)


def _wide(tensor: "torch.Tensor") -> "torch.Tensor":
    """Types of one byte have no `isfinite`."""
    return tensor.float() if tensor.element_size() == 1 else tensor
