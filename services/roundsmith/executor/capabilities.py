"""What isolation really holds, as tried."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IsolationCheck:
    """One promise: whether the forbidden thing failed when it was tried, and what was seen."""

    name: str
    tier: str
    """The lowest tier that promises it."""
    holds: bool
    detail: str
    by_landlock: bool = False
    """Only Landlock keeps it, which a kernel of the sandbox's own may do without."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The answer of GetCapabilities; sizes in bytes."""

    tier: str
    checks: tuple[IsolationCheck, ...]
    profiles: tuple[str, ...]
    missing_profiles: dict[str, str]
    """Those that are not here, and why."""
    slots: int
    max_value_bytes: int
    max_value_depth: int
    max_cells: int
    image: str
    rerun_share: float
