"""What each rank of a vLLM engine does for the generator, in its own process.

vLLM mixes the class into its worker by name (`worker_extension_cls`); `self` is the worker.
"""

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class RankWeights:
    """Loads weights and says which ones this rank has."""

    roundsmith_version: str = ""

    def roundsmith_load(self, path: str, version: str) -> str:
        """Loads the folder's weights in place of those there are; what is wrong with them, or
        nothing.
        """
        worker: Any = self
        runner = worker.model_runner
        model: torch.nn.Module = runner.get_model()
        tied = _tied(model)
        runner.reload_weights(weights_path=path)
        if _tied(model).keys() != tied.keys():
            return "weights that were shared between layers are not shared any more"
        for layers in tied.values():
            for layer in layers:
                _repack(layer)
        for name, parameter in model.named_parameters():
            if parameter.is_floating_point() and not bool(parameter.isfinite().all()):
                return f"{name} has numbers that are not finite"
        self.roundsmith_version = version
        return ""

    def roundsmith_served(self, version: str = "") -> str:
        """The version that this rank has; the first call tells it the one that it started with."""
        self.roundsmith_version = self.roundsmith_version or version
        return self.roundsmith_version


def _tied(model: "torch.nn.Module") -> "dict[int, list[torch.nn.Module]]":
    """The layers that share a parameter, such as the embedding and the output layer."""
    by_parameter: dict[int, list[torch.nn.Module]] = defaultdict(list)
    for layer in model.modules():
        for parameter in layer._parameters.values():
            if parameter is not None:
                by_parameter[id(parameter)].append(layer)
    return {key: layers for key, layers in by_parameter.items() if len(layers) > 1}


def _repack(layer: "torch.nn.Module") -> None:
    """Makes the copy that a layer computes with on a CPU once more from its weights: vLLM's reload
    leaves it as it was where the checkpoint has no tensor of the layer's own.
    """
    if hasattr(layer, "cpu_linear"):
        quant_method: Any = layer.quant_method
        quant_method.process_weights_after_loading(layer)
