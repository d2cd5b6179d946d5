"""A model with its adapters added to the weights, which any engine loads."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def save_whole(model: Any, folder: Path) -> None:
    """Save a model; one that trains adapters as the whole that it is with them. It is not changed:
    adding adapters and taking them off again would leave other last bits.
    """
    if hasattr(model, "get_base_model"):
        base = model.get_base_model()
        base.save_pretrained(folder, state_dict=merged(base))
    else:
        model.save_pretrained(folder)


def merged(base: Any) -> "dict[str, torch.Tensor]":
    """The weights by the names that they have without adapters; W + B A * alpha / r where a layer
    has some.
    """
    from peft.tuners.lora import LoraLayer

    weights = {
        name.replace(".base_layer.", "."): weight
        for name, weight in base.state_dict().items()
        if ".lora_" not in name
    }
    for name, module in base.named_modules():
        if isinstance(module, LoraLayer):
            layer: Any = module  # a linear one, as all of ours
            for adapter in layer.active_adapters:
                delta = layer.get_delta_weight(adapter)
                weights[f"{name}.weight"] = weights[f"{name}.weight"].detach() + delta.detach()
    return weights
