"""The best of each group, for many groups at once. Axes: G groups, K candidates."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def best_of(scores_GK: ArrayLike, kept: int = 1) -> NDArray[np.intp]:
    """The places of the `kept` highest scores of each group, highest first, [G, kept]; of equals
    the earliest. NaN is a candidate without a score, and comes last.
    """
    lowest = np.where(np.isnan(scores := np.asarray(scores_GK, float)), -np.inf, scores)
    order: NDArray[np.intp] = (
        lowest.argmax(-1)[:, None]
        if kept == 1
        else np.argsort(-lowest, axis=-1, kind="stable")[:, :kept]
    )
    return order
