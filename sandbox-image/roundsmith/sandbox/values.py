"""How values of the standard library cross between processes, by their parts, exact types only:
dates and times, `Decimal`, `Fraction`, `range`, `slice`, `bytearray`, `deque`, the
dicts of `collections`, views of a dict; and built-in types and functions by name.

A time zone that is no fixed offset does not cross, and its time stays in its process.
"""

import datetime
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

from roundsmith.sandbox import taught
from roundsmith.sandbox.reading import CodecError
from roundsmith.sandbox.taught import Parts

_FACTORIES = {
    "": None,
    **{kind.__name__: kind for kind in (int, float, bool, str, list, tuple, dict, set)},
}
_BUILT_IN = {
    kind.__name__: kind
    for kind in (
        *(type(None), bool, int, float, complex, str, bytes, bytearray, range),
        *(list, tuple, set, frozenset, dict),
        *(abs, all, any, ascii, bin, chr, divmod, format, hash, hex, len, max, min, oct, ord, pow),
        *(repr, round, sorted, sum),
    )
}
"""None by which what a program says would be run or would change anything."""
_NOTHING: dict[Any, Any] = {}
_KEYS, _VALUES, _ITEMS = type(_NOTHING.keys()), type(_NOTHING.values()), type(_NOTHING.items())


_CHANGING = (bytearray, deque, Counter, OrderedDict, defaultdict, _KEYS, _VALUES, _ITEMS)


def install() -> None:
    """Makes the codec of this process carry them."""
    for kind, (name, parts, _) in _BY_TYPE.items():
        taught.extend(kind, partial(_named, name, parts), _CHANGING)
    taught.extend(defaultdict, _defaults, _CHANGING)
    for kind in map(type, _BUILT_IN.values()):
        taught.extend(kind, _built_in)
    makers = {name: make for name, _, make in _BY_TYPE.values()}
    makers["built-in"] = _BUILT_IN.__getitem__
    makers["defaultdict"] = lambda p: defaultdict(_FACTORIES[p[0]], p[1])
    taught.make_parted(makers, take_over)


def take_over(given: Any, changed: Any) -> None:
    """Makes `given`, of the same type, what `changed` is."""
    if isinstance(given, bytearray):
        given[:] = changed
    elif isinstance(given, deque):
        given.clear()
        given.extend(changed)
    elif isinstance(given, dict):
        given.clear()
        dict.update(given, changed)


def _named(name: str, parts: Callable[[Any], Any], value: Any) -> Parts:
    return name, parts(value)


def _defaults(value: Any) -> Parts | None:
    """A dict with defaults of a built-in type; of anything else it crosses as a dict's subclass."""
    made = value.default_factory
    name = next((name for name, kind in _FACTORIES.items() if kind is made), None)
    return None if name is None else ("defaultdict", (name, dict(value)))


def _built_in(value: Any) -> Parts | None:
    """A type or function of Python's own by its name; any other stays where it is."""
    name = next((name for name, kind in _BUILT_IN.items() if kind is value), None)
    return None if name is None else ("built-in", name)


def _date(value: datetime.date) -> tuple[int, ...]:
    return value.year, value.month, value.day


def _clock(value: datetime.time | datetime.datetime) -> tuple[Any, ...]:
    zone = value.tzinfo
    if zone is not None and type(zone) is not datetime.timezone:
        raise CodecError("a time in a zone that is no fixed offset does not cross")
    offset = None if zone is None else _span(zone.utcoffset(None))
    return value.hour, value.minute, value.second, value.microsecond, offset, value.fold


def _span(value: datetime.timedelta) -> tuple[int, int, int]:
    return value.days, value.seconds, value.microseconds


def _time(parts: Any, made: Callable[..., Any] = datetime.time) -> Any:
    *clock, offset, fold = parts
    zone = None if offset is None else datetime.timezone(datetime.timedelta(*offset))
    return made(*clock, zone, fold=fold)


_BY_TYPE: dict[type, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    datetime.date: ("date", _date, lambda p: datetime.date(*p)),
    datetime.datetime: (
        "datetime",
        lambda value: (*_date(value), *_clock(value)),
        lambda p: _time(p, datetime.datetime),
    ),
    datetime.time: ("time", _clock, _time),
    datetime.timedelta: ("timedelta", _span, lambda p: datetime.timedelta(*p)),
    Decimal: ("Decimal", str, Decimal),
    Fraction: ("Fraction", lambda v: (v.numerator, v.denominator), lambda p: Fraction(*p)),
    range: ("range", lambda v: (v.start, v.stop, v.step), lambda p: range(*p)),
    slice: ("slice", lambda v: (v.start, v.stop, v.step), lambda p: slice(*p)),
    bytearray: ("bytearray", bytes, bytearray),
    Counter: ("Counter", dict, Counter),
    OrderedDict: ("OrderedDict", dict, OrderedDict),
    deque: ("deque", lambda v: (list(v), v.maxlen), lambda p: deque(*p)),
    _KEYS: ("keys", list, lambda p: dict.fromkeys(p).keys()),
    _VALUES: ("values", list, lambda p: dict(enumerate(p)).values()),
    _ITEMS: ("items", list, lambda p: dict(p).items()),
    types.EllipsisType: ("Ellipsis", lambda _: None, lambda _: Ellipsis),
}
