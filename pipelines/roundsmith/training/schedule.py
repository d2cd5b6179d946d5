"""How far a training goes, which rows each step sees, and how fast it learns: pure arithmetic."""

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random

from roundsmith.errors import ConfigError
from roundsmith.hashing import derive_seed


def num_steps(num_rows: int, batch_size: int, epochs: float, max_steps: int) -> int:
    """Optimizer steps: `max_steps` where given, else the full batches that `epochs` fill, at least
    one.

    Epochs follow each other without a gap; GiFT's release drops the last part of each epoch
    instead.
    """
    return max_steps or max(1, int(num_rows * epochs) // batch_size)


def row_order(
    lengths: Sequence[int], batch_size: int, steps: int, seed: int, by_length: bool = True
) -> list[int]:
    """The rows of all steps, as indices, [steps * batch_size]: shuffled epoch after shuffled epoch.

    With `by_length` the longest rows of a step come first, so that those of one forward pass are
    alike and little is padded; a gradient that is a sum over rows is not changed by their order.
    """
    stream = _shuffled_epochs(len(lengths), seed)
    if not by_length:
        return list(islice(stream, steps * batch_size))
    order: list[int] = []
    for _ in range(steps):
        order += sorted(islice(stream, batch_size), key=lambda row: (-lengths[row], row))
    return order


def _shuffled_epochs(num_rows: int, seed: int) -> Iterator[int]:
    epoch = 0
    while True:
        rows = list(range(num_rows))
        Random(derive_seed(seed, "epoch", epoch)).shuffle(rows)
        yield from rows
        epoch += 1


def micro_batch(batch_size: int, processes: int, largest: int) -> int:
    """The largest number of rows of a forward pass that divides each process's part of a step
    evenly.
    """
    share, rest = divmod(batch_size, processes)
    if rest:
        raise ConfigError(
            f"expected a batch_size that {processes} processes share evenly, saw {batch_size}: "
            f"give {max(1, share) * processes} or another number of processes"
        )
    return max(size for size in range(1, min(largest, share) + 1) if share % size == 0)


def highest_factor(steps: int, warmup_steps: int, start: float) -> float:
    """The highest learning rate of a training as a part of the one that was asked for: less than 1
    where its steps end within the warm-up.
    """
    return learning_rate_factor(min(steps - 1, warmup_steps), steps, warmup_steps, start)


def learning_rate_factor(step: int, steps: int, warmup_steps: int, start: float) -> float:
    """The learning rate of a step (from 0) as a part of the highest: linear from `start` to 1,
    then to 0.
    """
    if step < warmup_steps:
        return start + (1 - start) * step / warmup_steps
    return max(0.0, (steps - step) / max(1, steps - warmup_steps))
