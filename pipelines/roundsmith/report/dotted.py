"""Nested settings by their dotted names, and which of them differ."""

from collections.abc import Mapping
from typing import Any


def flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = value
    return found


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The dotted names of the settings that are not the same in both, sorted."""
    before, after = flat(old), flat(new)
    return sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
