"""One atomic function of the lab: a typed step that rewrites the variable `x`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from roundsmith.lab.kinds import Kind, sample
from roundsmith.types import Value


@dataclass(frozen=True, slots=True)
class Atom:
    """A step: from a value of type `source` in `x` to one of type `target` in `x`.

    `forms` are equivalent ways to write it, each one or more lines at indentation zero; the first
    is the reference. `phrases` are the ways to ask for it, each an imperative that composes with
    others. Every atom is total on the values of its source type that the samplers make, empty ones
    included.
    """

    name: str
    topic: str
    source: Kind
    target: Kind
    phrases: tuple[str, ...]
    forms: tuple[str, ...]

    @property
    def signature(self) -> str:
        """The typed head of the atom alone, as in `sum_list(x: list[int]) -> int`."""
        return f"{self.name}(x: {self.source}) -> {self.target}"

    def sample(self, rng: Random) -> Value:
        """Draw an input of the source type."""
        return sample(self.source, rng)

    def run(self, x: Value, form: int = 0) -> Value:
        """Apply one form of the atom to a value. The value itself is not changed."""
        return compiled(self.forms[form])(x)


@cache
def compiled(form: str) -> Callable[[Value], Value]:
    """The function of `x` that a form stands for. Only for the trusted forms of this package."""
    lines = "".join(f"    {line}\n" for line in form.splitlines())
    scope: dict[str, Any] = {}
    exec(f"def step(x):\n{lines}    return x\n", scope)
    step: Callable[[Value], Value] = scope["step"]
    return step
