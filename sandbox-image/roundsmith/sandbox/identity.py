"""Whether two lists have the very same members, without asking any of them."""

import ctypes
from operator import is_
from typing import Any

from roundsmith.sandbox.syscalls import LIBC

_FEW = 64
_MEMBERS_AT = object.__basicsize__ + ctypes.sizeof(ctypes.c_ssize_t)
"""Where a list of CPython says where its members are: after its header and its length."""
_POINTER = ctypes.sizeof(ctypes.c_void_p)
_compare = LIBC.memcmp
_compare.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


def same(one: list[Any], other: list[Any]) -> bool:
    """Whether each member of one is the other's: what is equal is not enough. Of many, their
    addresses are compared at once, because it is asked again and again.
    """
    size = len(one)
    if size != len(other):
        return False
    if size < _FEW:
        return all(map(is_, one, other))
    differs: int = _compare(_members_at(one), _members_at(other), size * _POINTER)
    return differs == 0


def _members_at(members: list[Any]) -> int | None:
    return ctypes.c_void_p.from_address(id(members) + _MEMBERS_AT).value
