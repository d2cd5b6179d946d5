"""The smallest difference that so many tasks can show."""

import math

from scipy.optimize import brentq
from scipy.stats import norm

from roundsmith.errors import ConfigError


def smallest_difference(
    num_tasks: int, sd: float, *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """The mean paired difference found with probability `power`.

    d = (z_{1-alpha/2} + z_power) sd / sqrt(n), where `sd` is the standard deviation of the per-task
    differences of pass@k.
    """
    _refuse_bad(num_tasks, alpha, power)
    return float((norm.ppf(1 - alpha / 2) + norm.ppf(power)) * sd / math.sqrt(num_tasks))


def smallest_difference_of_solved(
    num_tasks: int, changed: float, *, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """The same for one greedy sample a task (McNemar), a share `changed` of whose answers changes.

    Solves d sqrt(n) = z_{1-alpha/2} sqrt(changed) + z_power sqrt(changed - d^2) (Connor 1987).
    None when even all changes in one direction, d = changed, are too few to show.
    """
    _refuse_bad(num_tasks, alpha, power)
    if not 0 < changed <= 1:
        raise ConfigError(f"saw a changed share of {changed}, expected one in (0, 1]")
    z_alpha, z_power = norm.ppf(1 - alpha / 2), norm.ppf(power)

    def short_of(d: float) -> float:
        spread = math.sqrt(max(changed - d * d, 0.0))
        return float(d * math.sqrt(num_tasks) - z_alpha * math.sqrt(changed) - z_power * spread)

    if short_of(changed) < 0:
        return None
    return float(brentq(short_of, 0.0, changed))


def _refuse_bad(num_tasks: int, alpha: float, power: float) -> None:
    if num_tasks < 1 or not 0 < alpha < 1 or not 0 < power < 1:
        raise ConfigError(
            f"saw {num_tasks} tasks, alpha {alpha}, power {power}; expected at least one task and "
            "both between 0 and 1"
        )
