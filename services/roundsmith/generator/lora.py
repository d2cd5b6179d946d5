"""Adapters (LoRA, Hu et al. 2021) in the `transformers` engine: each row with its own, or none.

Every adapter in use is computed for all rows and kept where it is a row's own, so that a row's
numbers do not depend on its neighbours. Axes: R rows, L length, H hidden, r rank.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roundsmith.errors import ConfigError
from roundsmith.generator.adapter_folder import PREFIX, adapter_config

if TYPE_CHECKING:
    import torch
    from torch.utils.hooks import RemovableHandle


@dataclass(frozen=True, eq=False)
class Lora:
    """The matrices of one adapter, by the name of the linear layer that they add to:
    y := y + scale B A x.
    """

    a_by_layer: "dict[str, torch.Tensor]"
    b_by_layer: "dict[str, torch.Tensor]"
    scale: float


def load_lora(folder: Path, model: Any) -> Lora:
    """The adapter in a checked folder. ConfigError when its numbers are not finite, or a layer of
    the model is not linear.
    """
    import torch
    from safetensors.torch import load_file

    layers = dict(model.named_modules())
    found: dict[str, dict[str, torch.Tensor]] = {"lora_A": {}, "lora_B": {}}
    for name, tensor in load_file(folder / "adapter_model.safetensors").items():
        layer, _, kind = name.removeprefix(PREFIX).removesuffix(".weight").rpartition(".")
        if not isinstance(layers.get(layer), torch.nn.Linear) or not bool(tensor.isfinite().all()):
            raise ConfigError(
                f"{folder}: expected finite numbers for linear layers of the served model, saw "
                f"others in {name}"
            )
        # a copy: the file is mapped, and may become another
        found[kind][layer] = tensor.to(model.device, model.dtype, copy=True)
    config = adapter_config(folder)
    rank = float(config["r"])
    root = math.sqrt(rank) if config.get("use_rslora") else rank
    return Lora(found["lora_A"], found["lora_B"], float(config["lora_alpha"]) / root)


class LoraRows:
    """Adds adapters to a model's linear layers, for the rows of the next forward passes."""

    def __init__(self, model: Any) -> None:
        self._layers = dict(model.named_modules())
        self._hooks: dict[str, RemovableHandle] = {}
        self._in_use: list[tuple[Lora, torch.Tensor]] = []
        """Is all that the hooks hold: the model holds them, and must go when nobody else has it."""

    def use(self, loras_R: "Sequence[Lora | None]", device: "torch.device") -> None:
        """Row i draws with the i-th."""
        import torch

        distinct = {id(lora): lora for lora in loras_R if lora is not None}.values()
        self._in_use.clear()
        for name in self._hooks.keys() - {name for lora in distinct for name in lora.a_by_layer}:
            self._hooks.pop(name).remove()
        for lora in distinct:
            own_R = torch.tensor([one is lora for one in loras_R], device=device)
            self._in_use.append((lora, own_R[:, None, None]))
            for name in lora.a_by_layer.keys() - self._hooks.keys():
                hook = partial(_add, self._in_use, name)
                self._hooks[name] = self._layers[name].register_forward_hook(hook)


def _add(
    in_use: "Sequence[tuple[Lora, torch.Tensor]]",
    name: str,
    _: Any,
    inputs: Any,
    y_RLH: "torch.Tensor",
) -> Any:
    import torch

    for lora, own_R11 in in_use:
        if name in lora.a_by_layer:
            low_RLr = torch.nn.functional.linear(inputs[0], lora.a_by_layer[name])
            more_RLH = torch.nn.functional.linear(low_RLr, lora.b_by_layer[name])
            y_RLH = torch.where(own_R11, y_RLH + lora.scale * more_RLH, y_RLH)
    return y_RLH
