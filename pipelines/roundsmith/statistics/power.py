"""The smallest difference that so many tasks, or seeds and tasks, can show."""

import math

from scipy.special import ndtri, stdtrit

from roundsmith.errors import ConfigError


def smallest_difference(
    num_tasks: int, sd: float, *, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """The mean paired difference found with probability `power`.

    d = (z_{1-alpha/2} + z_power) sd / sqrt(n), where `sd` is the standard deviation of the per-task
    differences of pass@k. None where no difference can be found: so few tasks never reach alpha,
    or d is more than 1.
    """
    _refuse_bad(num_tasks, alpha, power)
    d = float((ndtri(1 - alpha / 2) + ndtri(power)) * sd / math.sqrt(num_tasks))
    return d if num_tasks >= fewest_tasks(alpha) and d <= 1 else None


def least_p_value(num_tasks: int) -> float:
    """What a paired test of so many tasks can show at the least, 2 / 2^n: all of them gained."""
    return min(1.0, 2.0 ** (1 - num_tasks))


def fewest_tasks(alpha: float) -> int:
    """The fewest tasks whose paired test can reach alpha: 2 / 2^n <= alpha."""
    return max(1, math.ceil(1 - math.log2(alpha)))


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
    z_alpha, z_power = float(ndtri(1 - alpha / 2)), float(ndtri(power))
    spread = math.sqrt(changed - changed * changed)
    if changed * math.sqrt(num_tasks) < z_alpha * math.sqrt(changed) + z_power * spread:
        return None
    root = z_power * math.sqrt(num_tasks + z_power**2 - z_alpha**2)
    found = math.sqrt(changed) * (z_alpha * math.sqrt(num_tasks) + root)
    return min(changed, found / (num_tasks + z_power**2))


def smallest_contrast(
    standard_error: float, degrees: int, *, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """The true difference that a two-sided t-test with this standard error finds with probability
    `power`, d = (t_{1-alpha/2} + t_power) SE (Bloom 1995); None where the error is not known.
    """
    if degrees < 1 or math.isinf(standard_error):
        return None
    reach = stdtrit(degrees, 1 - alpha / 2) + stdtrit(degrees, power)
    return float(reach) * standard_error


def _refuse_bad(num_tasks: int, alpha: float, power: float) -> None:
    if num_tasks < 1 or not 0 < alpha < 1 or not 0 < power < 1:
        raise ConfigError(
            f"saw {num_tasks} tasks, alpha {alpha}, power {power}; expected at least one task and "
            "both between 0 and 1"
        )
