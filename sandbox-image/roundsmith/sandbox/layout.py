"""How the zygote's memory lies. A fork copies an entry of each page that was written and each
mapping whole, and a child that ends takes them apart: so there are huge pages and few mappings.
"""

import ctypes
import os
from typing import NamedTuple

from roundsmith.sandbox.syscalls import LIBC

_HUGE_PAGE = 2 * 2**20
_COLLAPSE = 25
_READ, _WRITE, _EXECUTE = 1, 2, 4
_PRIVATE, _ANONYMOUS = 2, 0x20
_MAY_MOVE, _TO_THERE = 1, 2
_HUGE_ADVICE = 14
_OF_C = ctypes.CDLL(None)
_map, _move, _unmap = _OF_C.mmap, _OF_C.mremap, _OF_C.munmap
_map.restype = _move.restype = ctypes.c_void_p
_map.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
_move.argtypes = (ctypes.c_void_p, *[ctypes.c_size_t] * 2, ctypes.c_int, ctypes.c_void_p)
_unmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_FAILED = ctypes.c_void_p(-1).value
_OWN = ("", "[heap]")
"""What the memory is called that is of no file."""


class Mapping(NamedTuple):
    """One line of `/proc/self/maps`: from where to where, and what of which file."""

    first: int
    last: int
    rights: str
    offset: int
    name: str


def open_maps(proc: int) -> int:
    """A descriptor of this process's mappings, to be read later; `proc` is one of `/proc`."""
    return os.open("self/maps", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)


def mappings(maps: int) -> list[Mapping]:
    """Those of this process now, from the descriptor that `open_maps` gave."""
    os.lseek(maps, 0, os.SEEK_SET)
    content = b"".join(iter(lambda: os.read(maps, 1 << 16), b""))
    found = []
    for line in content.decode(errors="surrogateescape").split("\n")[:-1]:
        place, rights, offset, _, _, *name = line.split(None, 5)
        first, last = (int(at, 16) for at in place.split("-"))
        found.append(Mapping(first, last, rights, int(offset, 16), "".join(name)))
    return found


def end_arenas() -> None:
    """Gives back the address space that is kept for Python's objects, where `arenas.c` keeps some:
    before the interpreter's is measured, because a program's limit is on top of it.
    """
    end = getattr(ctypes.PyDLL(None), "roundsmith_end_arenas", None)
    if end is not None:
        end()


def gather(maps: int) -> None:
    """Moves what this process has written into huge pages, where whole ones fit and the kernel
    knows how (Linux 6.1).
    """
    for first, last, rights, _, name in mappings(maps):
        if rights == "rw-p" and name in _OWN:
            whole = -(-first // _HUGE_PAGE) * _HUGE_PAGE
            for at in range(whole, last - _HUGE_PAGE + 1, _HUGE_PAGE):
                LIBC.madvise(ctypes.c_void_p(at), ctypes.c_size_t(_HUGE_PAGE), _COLLAPSE)


def join(proc: int) -> list[Mapping]:
    """Before a fork: makes one mapping of the two in which a library has what it writes, of which
    the linker closes a part. The kernel joins them where no fork came after the library was loaded.
    Gives what `part` closes again, in the process that goes on; a zygote keeps them so, whose
    children are the programs' own.
    """
    maps = open_maps(proc)
    try:
        found = mappings(maps)
    finally:
        os.close(maps)
    written = {(m.first, m.offset, m.name) for m in found if m.rights == "rw-p"}
    joined = [
        m
        for m in found
        if m.rights == "r--p" and (m.last, m.offset + m.last - m.first, m.name) in written
    ]
    _protect(joined, _READ | _WRITE)
    return joined


def part(joined: list[Mapping]) -> None:
    """Closes what `join` opened."""
    _protect(joined, _READ)


def _protect(found: list[Mapping], rights: int) -> None:
    for mapping in found:
        size = ctypes.c_size_t(mapping.last - mapping.first)
        LIBC.mprotect(ctypes.c_void_p(mapping.first), size, rights)


def merge(maps: int) -> None:
    """Makes one mapping of the three in which a library has its code and what is only read: that
    may be executed too, then. It is no right that a program lacks, which may change the mappings
    of its process itself.
    """
    found = mappings(maps)
    base = {m.name: m.first - m.offset for m in found if m.rights == "r-xp"}
    only_read = [m for m in found if m.rights == "r--p" and m.first - m.offset == base.get(m.name)]
    _protect(only_read, _READ | _EXECUTE)


def copy_code(maps: int) -> None:
    """Puts the interpreter's code, and what of it is only read, into huge pages of this process's
    own, as far as it fills whole ones: a fork copies an entry of each, where a child would have to
    ask for a file's pages by the few, as it runs.
    """
    of_interpreter = ctypes.cast(ctypes.pythonapi.Py_IsInitialized, ctypes.c_void_p).value or 0
    for first, last, rights, _, _ in mappings(maps):
        if rights == "r-xp" and first <= of_interpreter < last:
            whole = -(-first // _HUGE_PAGE) * _HUGE_PAGE
            if size := max(0, last - whole) // _HUGE_PAGE * _HUGE_PAGE:
                _copy(whole, size)


def _copy(place: int, size: int) -> None:
    """Nothing is changed where the kernel has no huge pages for it."""
    room = _map(None, size + _HUGE_PAGE, _READ | _WRITE, _PRIVATE | _ANONYMOUS, -1, 0)
    if room == _FAILED:
        return
    first = -(-room // _HUGE_PAGE) * _HUGE_PAGE
    at, length = ctypes.c_void_p(first), ctypes.c_size_t(size)
    LIBC.madvise(at, length, _HUGE_ADVICE)
    ctypes.memmove(at, place, size)
    if not LIBC.madvise(at, length, _COLLAPSE) and not LIBC.mprotect(at, length, _READ | _EXECUTE):
        _move(first, size, size, _MAY_MOVE | _TO_THERE, place)
    _unmap(room, size + _HUGE_PAGE)
