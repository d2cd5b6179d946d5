"""Room on the stack for what is begun and must be done whole."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

_ROOM = 1000
"""Calls within calls: three and more for each level of what is read."""
_P = ParamSpec("_P")
_R = TypeVar("_R")


def with_room(work: Callable[_P, _R]) -> Callable[_P, _R]:
    """Work that does not end in the middle where the caller is deep in calls already. Raises
    RecursionError before it begins where there is no room at all.
    """

    @wraps(work)
    def worked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        limit = sys.getrecursionlimit()
        # So it is found here, if it can not be set again at the end.
        sys.setrecursionlimit(limit)
        sys.setrecursionlimit(limit + _ROOM)
        try:
            return work(*args, **kwargs)
        finally:
            sys.setrecursionlimit(limit)

    return worked
