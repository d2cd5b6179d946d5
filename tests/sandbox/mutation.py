"""One mechanism of the sandbox that can be taken away."""

from dataclasses import dataclass

from tests.sandbox.planted import Fault


@dataclass(frozen=True, slots=True)
class Mutation:
    """A mechanism, or several together, that is taken away. `depth` says, for one whose absence no
    case shows, which mutation shows it together with what stands before it.
    """

    name: str
    faults: tuple[Fault, ...]
    cases: tuple[int, ...]
    depth: str = ""


def without(file: str, text: str, instead: str = "") -> tuple[Fault, ...]:
    """A file such as `sandbox/zygote.py` in which a text is replaced."""
    return (Fault(file, text, instead),)
