"""Seeds of random generators: where the test has a process of its own, what it gives to a generator
there is given to the program's too.

Not handled: what either draws; in one process the other's generator would go on by it.
"""

import random
import sys
from collections.abc import Callable
from typing import Any

_own: dict[str, Callable[..., None]] = {"random": random.seed}
"""As Python has it, whatever the program made of the name."""


def seed(module: str, *args: Any, **kwargs: Any) -> None:
    """Seeds the generator of a module in this process."""
    (_own.get(module) or sys.modules[module].seed)(*args, **kwargs)


def share(seed_there: Callable[..., object]) -> None:
    """From now on a seed that is given here is given over there too."""
    for module in ("random", "numpy.random"):
        if module in sys.modules:
            setattr(sys.modules[module], "seed", _both(module, seed_there))  # noqa: B010


def _both(module: str, seed_there: Callable[..., object]) -> Callable[..., None]:
    here = sys.modules[module].seed

    def seed(*args: Any, **kwargs: Any) -> None:
        here(*args, **kwargs)
        seed_there(module, *args, **kwargs)

    return seed
