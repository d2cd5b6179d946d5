"""How well a score tells two classes apart."""

from collections.abc import Sequence

import numpy as np

from roundsmith.errors import ConfigError


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The area under the ROC curve: P(score of a positive > of a negative), ties counted half.

    Raises ConfigError when one class is empty, because then there is nothing to tell apart.
    """
    _, tied, sizes = np.unique(np.asarray(scores, float), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[tied]  # the mean rank of equal scores
    positive = np.asarray(labels, dtype=bool)
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if not num_positive or not num_negative:
        raise ConfigError(
            f"saw {num_positive} positives and {num_negative} negatives, expected some of each"
        )
    above = float(ranks[positive].sum()) - num_positive * (num_positive + 1) / 2
    return above / (num_positive * num_negative)
