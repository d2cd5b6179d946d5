"""Reads what is a plain value besides from an answer: numpy's scalars as Python's numbers, without
numpy, and the dicts of `collections`.
"""

import struct

from roundsmith.sandbox.codec import Node

_FORMATS = {
    **{"?": "?", "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q"},
    **{"u1": "B", "u2": "H", "u4": "I", "u8": "Q", "f2": "e", "f4": "f", "f8": "d"},
    **{"c8": "ff", "c16": "dd"},
}
_IMPRECISE = frozenset({"f2", "f4", "c8"})
_MAPPINGS = frozenset({"Counter", "OrderedDict", "defaultdict"})
_ORDERS = {"<": "<", ">": ">", "|": "<", "=": "="}


def scalar(node: Node) -> Node | None:
    """The number of a numpy scalar as a plain node; None for anything else, malformed ones too."""
    if node.tag != "P" or node.content[0] != "scalar" or node.content[1].tag != "t":
        return None
    parts = node.content[1].content
    if [part.tag for part in parts] != ["s", "b"]:
        return None
    dtype, content = (part.content for part in parts)
    order, form = _ORDERS.get(dtype[:1]), _FORMATS.get(dtype[1:])
    if order is None or form is None or struct.calcsize(order + form) != len(content):
        return None
    numbers = struct.unpack(order + form, content)
    if len(numbers) == 2:
        return Node("c", complex(*numbers))
    (number,) = numbers
    if isinstance(number, bool):
        return Node("T" if number else "F", number)
    return Node("i" if isinstance(number, int) else "d", number)


def mapping(node: Node) -> Node | None:
    """The dict that a dict of `collections` is besides; None for anything else, malformed ones
    too.
    """
    if node.tag != "P" or node.content[0] not in _MAPPINGS:
        return None
    inner: Node = node.content[1]
    if node.content[0] == "defaultdict" and inner.tag == "t" and len(inner.content) == 2:
        inner = inner.content[1]
    return inner if inner.tag == "m" else None


def holds_parts(node: Node) -> bool:
    """Whether an array or table is anywhere in the value, of which `==` does not say one truth, or
    a number of less precision than Python's: numpy makes the other one less precise to compare.
    """
    if node.tag == "P":
        inner = mapping(node)
        return not _is_exact(node) if inner is None else holds_parts(inner)
    if node.tag == "L":
        return holds_parts(node.content[1])
    if node.tag == "m":
        return any(holds_parts(part) for pair in node.content for part in pair)
    return node.tag in "ltSZ" and any(map(holds_parts, node.content))


def _is_exact(node: Node) -> bool:
    """Whether it is a scalar that compares as Python's number of its value does."""
    return scalar(node) is not None and node.content[1].content[0].content[1:] not in _IMPRECISE
