"""What each rank of a vLLM engine does for the generator, in its own process.

vLLM mixes the class into its worker by name (`worker_extension_cls`); `self` is the worker.
"""

import os
import select
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from roundsmith.models.finite import first_not_finite

if TYPE_CHECKING:
    import torch

_NOT_FINITE = "saw numbers that are not finite, expected finite ones"


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
        self.roundsmith_version = ""  # until all of it is there
        with _scales_kept():
            runner.reload_weights(weights_path=path)
        if _tied(model).keys() != tied.keys():
            return (
                "weights that were shared between layers are not shared any more: serve it in a "
                "service of its own"
            )
        for layers in tied.values():
            for layer in layers:
                _repack(layer)
        name = first_not_finite(model.named_parameters())
        wrong = f"{name}: {_NOT_FINITE}" if name else _wrong(model, runner.dtype, runner.device)
        if wrong:
            return (
                f"{wrong}: the weights do not fit the --dtype or the --quantization that is "
                "served; name an earlier checkpoint, or a service of its own"
            )
        self.roundsmith_version = version
        return ""

    def roundsmith_begin(self, version: str, service_pid: int) -> tuple[str, str]:
        """Tells the rank what it started with, and whom it serves: it ends when that process does,
        however that ends. What is wrong with its weights on a CPU, or nothing, and the name of the
        first layer that oneDNN computes in eight bits, if any.
        """
        self.roundsmith_version = version
        threading.Thread(target=_end_with, args=(service_pid, os.getppid()), daemon=True).start()
        _use_tiles()
        worker: Any = self
        runner = worker.model_runner
        model: torch.nn.Module = runner.get_model()
        on_cpu = runner.device.type == "cpu"
        wrong = _wrong(model, runner.dtype, runner.device) if on_cpu else ""
        return wrong, _first_of_bytes(model)

    def roundsmith_served(self) -> str:
        """The version that this rank has."""
        return self.roundsmith_version


def _use_tiles() -> None:
    """Asks the kernel for AMX, where there is some: vLLM's attention in bfloat16 uses it unasked,
    and is ended for it where no product of matrices in 16 bits has asked before.
    """
    import torch

    if torch.cpu._is_amx_tile_supported():
        torch.cpu._init_amx()


def _end_with(service_pid: int, parent: int) -> None:
    """Waits for the end of the service, and ends this process and the engine that started it. A
    service that was killed can not tell them, and vLLM would wait for ever.
    """
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(service_pid)
        select.select([descriptor], [], [])
    if parent != service_pid:  # else it is the engine itself that the rank lives in
        with suppress(ProcessLookupError):
            os.kill(parent, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


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


@contextmanager
def _scales_kept() -> Iterator[None]:
    """A quantized layer on a CPU computes with the address of the scales that it was made from,
    which vLLM's reload gives back once it has copied them: they stay as long as the layer's part.
    """
    from vllm import _custom_ops as ops

    make: Any = ops.create_onednn_scaled_mm

    def made(weight: Any, scales: Any, *rest: Any) -> Any:
        part = make(weight, scales, *rest)
        part.roundsmith_scales = scales
        return part

    ops.create_onednn_scaled_mm = made
    try:
        yield
    finally:
        ops.create_onednn_scaled_mm = make


def _first_of_bytes(model: "torch.nn.Module") -> str:
    """The name of the first linear layer that oneDNN computes in eight bits, empty where none."""
    for name, layer in model.named_modules():
        kernel = getattr(getattr(layer, "scheme", None), "kernel", None)
        if hasattr(kernel, "dnnl_handler"):
            return str(name)
    return ""


def _wrong(model: "torch.nn.Module", dtype: "torch.dtype", device: "torch.device") -> str:
    """What the first linear layer does instead of making finite numbers of a vector of length 1,
    empty where all do so. Only those are tried whose arithmetic is not with their parameters: those
    that are quantized, or packed as a CPU likes them.
    """
    import torch
    from vllm.model_executor.layers.linear import LinearBase, UnquantizedLinearMethod

    for name, layer in model.named_modules():
        method: Any = getattr(layer, "quant_method", None)
        plain = isinstance(method, UnquantizedLinearMethod) and device.type != "cpu"
        if isinstance(layer, LinearBase) and not plain:
            width = getattr(layer, "input_size_per_partition", layer.input_size)
            vector = torch.full((1, width), width**-0.5, dtype=dtype, device=device)
            try:
                with torch.inference_mode():
                    made = method.apply(layer, vector)
            except RuntimeError as error:
                return f"{name}: it multiplies no numbers of {dtype} ({error})"
            if not bool(made.isfinite().all()):
                return f"{name}: {_NOT_FINITE}"
    return ""
