"""Python's allocator before the forks. What it has free lies between the zygote's own objects, on
pages that a child must copy to use; a pool that is begun anew has its header and its first blocks
on one.
"""

import ctypes

_SIZES = range(16, 513, 16)
"""Of the blocks that the allocator has, one kind a pool."""
_POOL_BYTES, _HEADER_BYTES = 2**14, 64
_MOST_BYTES = 2**22
"""Where no pool begins for so long, this is an allocator of another kind."""


def begin_pools() -> None:
    """Takes, for good, what is free in the pools that are in use, and one block of a new one of
    each size.
    """
    take = ctypes.PyDLL(None).PyObject_Malloc
    take.restype, take.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    left = _MOST_BYTES
    for size in _SIZES:
        while left > 0 and take(size) % _POOL_BYTES > _HEADER_BYTES:
            left -= size
