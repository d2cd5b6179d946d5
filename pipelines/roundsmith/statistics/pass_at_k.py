"""The unbiased estimator of pass@k (Chen et al. 2021, arXiv 2107.03374, equation 1)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from roundsmith.errors import ConfigError

Floats = npt.NDArray[np.float64]


def pass_at_k(num_samples: Sequence[int], num_correct: Sequence[int], k: int) -> Floats:
    """pass@k of each task, 1 - C(n - c, k) / C(n, k): the chance that k samples hold a correct one.

    `num_samples` (n) and `num_correct` (c) hold one number a task; the result has one in [0, 1] a
    task, and pass@k of a set of tasks is its mean. Raises ConfigError when a task has fewer than k
    samples, because then there is no unbiased estimate.
    """
    n, c = np.asarray(num_samples, dtype=np.int64), np.asarray(num_correct, dtype=np.int64)
    if n.shape != c.shape or n.ndim != 1:
        raise ConfigError(
            f"saw {n.shape} sample counts and {c.shape} correct ones, expected as many"
        )
    if k < 1 or (n < k).any():
        raise ConfigError(
            f"pass@{k}: saw a task with {n.min(initial=k)} samples, expected k of at least 1 and "
            "at least k samples a task: draw more samples or ask for a smaller k"
        )
    if ((c < 0) | (c > n)).any():
        raise ConfigError("saw more correct samples than samples, expected 0 <= correct <= samples")
    # C(n - c, k) / C(n, k) = prod (n - c - i) / (n - i): no factorial, so nothing overflows.
    all_wrong = np.ones(n.shape)
    for i in range(k):
        all_wrong *= np.maximum(n - c - i, 0) / (n - i)
    return 1.0 - all_wrong
