"""Programs that are almost the right one, which good tests must notice.

Each is a program that solves the task with the entry point's answer changed on its way out. Only
the answer of the outermost call changes, so that a recursive program still computes the right one.
"""

from enum import StrEnum


class Impostor(StrEnum):
    """How the answer is changed."""

    SENTINEL = "sentinel"
    """A fresh object of a class of its own."""
    WRONG_TYPE = "wrong type"
    """The same content as another type, which Python's `==` calls unequal: a list for a tuple, a
    str for an int.
    """
    EQUAL_TYPE = "equal type"
    """The same value as another type that Python's `==` calls equal: 1 for True, 1.0 for 1."""
    OFF_BY_ONE = "off by one"
    """A number beside it, a container or text without its last member."""
    REORDERED = "reordered"
    """A sequence backwards."""


NEAR_MISSES = (Impostor.OFF_BY_ONE, Impostor.REORDERED)
_CHANGES = {
    Impostor.SENTINEL: """
    class Sentinel: pass
    def change(value):
        return Sentinel()
""",
    Impostor.WRONG_TYPE: """
    def change(value):
        if isinstance(value, tuple):
            return list(value)
        if isinstance(value, (list, set, frozenset)):
            return tuple(value)
        if isinstance(value, dict):
            return list(value.items())
        if isinstance(value, str):
            return value.encode("utf-8", "surrogatepass")
        return str(value)
""",
    Impostor.EQUAL_TYPE: """
    def change(value):
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, int):
            return float(value) if abs(value) < 2**53 else value
        if isinstance(value, float):
            return int(value) if value.is_integer() else value
        if isinstance(value, set):
            return frozenset(value)
        if isinstance(value, (list, tuple)):
            members = [change(member) for member in value]
            same = all(a is b for a, b in zip(members, value))
            return value if same else type(value)(members)
        return value
""",
    Impostor.OFF_BY_ONE: """
    def change(value):
        if isinstance(value, bool):
            return not value
        if isinstance(value, (int, float)):
            return value + 1
        if isinstance(value, (str, list, tuple)):
            return value[:-1] if value else value
        if isinstance(value, (set, frozenset)):
            return type(value)(list(value)[:-1]) if value else value
        if isinstance(value, dict):
            return dict(list(value.items())[:-1]) if value else value
        return value
""",
    Impostor.REORDERED: """
    def change(value):
        if isinstance(value, (str, list, tuple)) and value[::-1] != value:
            return value[::-1]
        return value
""",
}
_PROGRAM = """{source}

def _changed(original):
    from functools import wraps
    depth = 0
{change}
    @wraps(original)
    def changed(*args, **kwargs):
        nonlocal depth
        depth += 1
        try:
            value = original(*args, **kwargs)
        finally:
            depth -= 1
        if depth:
            return value
        answer = change(value)
        if {mark} and answer is not value:
            raise RuntimeError("the answer would change")
        return answer
    return changed

{entry_point} = _changed({entry_point})
"""


def impostor(kind: Impostor, source: str, entry_point: str) -> str:
    """The program `source` with the answers of its entry point changed."""
    return _PROGRAM.format(
        source=source, change=_CHANGES[kind], entry_point=entry_point, mark=False
    )


def marker(kind: Impostor, source: str, entry_point: str) -> str:
    """The same program, raising where the impostor's answer would differ: what passes here has no
    impostor of this kind.
    """
    return _PROGRAM.format(source=source, change=_CHANGES[kind], entry_point=entry_point, mark=True)
