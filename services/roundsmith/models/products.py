"""What a device multiplies, beside which a bench tells how much of it a model's passes use."""

import statistics
import time
from typing import TYPE_CHECKING, Any

from roundsmith.bench import BenchResult

if TYPE_CHECKING:
    import torch

_SIDE = {"cpu": 2048, "cuda": 8192}
_TIMES = 9
TERA = 1e12


def multiplied(device: "torch.device", dtype: "torch.dtype") -> float:
    """Floating-point operations a second of the product of two square matrices of random numbers,
    each a side of 8192 on a GPU and of 2048 elsewhere: the median of nine.
    """
    import torch

    side = _SIDE.get(device.type, _SIDE["cpu"])
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(_TIMES + 2):
        begun = time.perf_counter()
        a @ b
        synchronize(device)
        seconds.append(time.perf_counter() - begun)
    return 2.0 * side**3 / statistics.median(seconds[2:])


def multiplied_parameters(model: Any) -> int:
    """Parameters of the matrices that a token is multiplied by: all but the embeddings, and these
    too where they are the output layer.
    """
    embeddings, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    matrices: int = sum(p.numel() for p in model.parameters() if p.ndim == 2)
    return matrices - (0 if embeddings is head else int(embeddings.numel()))


def utilisation(
    case: str, tokens_per_s: float, model: Any, passes: int, dtype: "torch.dtype"
) -> BenchResult:
    """The model's floating-point operations a second, beside what its device multiplies (MFU): 2
    for each parameter of a token's forward pass, and `passes` times that (3 with the backward
    pass). Attention is not counted.
    """
    done = 2.0 * multiplied_parameters(model) * passes * tokens_per_s / TERA
    most = multiplied(model.device, dtype) / TERA
    return BenchResult(f"{case}: use", done, "TFLOP/s", "matrix products", most, done / most)


def synchronize(device: "torch.device") -> None:
    """Returns when the device has done what it was given."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
