"""Reads numpy's scalars from an answer, as Python's numbers, without numpy."""

import struct

from roundsmith.sandbox.codec import Node

_FORMATS = {
    **{"?": "?", "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q"},
    **{"u1": "B", "u2": "H", "u4": "I", "u8": "Q", "f2": "e", "f4": "f", "f8": "d"},
    **{"c8": "ff", "c16": "dd"},
}
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


def holds_parts(node: Node) -> bool:
    """Whether an array or table is anywhere in the value: what `==` says of it is not one truth."""
    if node.tag == "P":
        return scalar(node) is None
    if node.tag == "L":
        return holds_parts(node.content[1])
    if node.tag == "m":
        return any(holds_parts(part) for pair in node.content for part in pair)
    return node.tag in "ltSZ" and any(map(holds_parts, node.content))
