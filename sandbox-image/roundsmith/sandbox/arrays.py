"""How values of numpy and pandas cross between processes: by their parts, exact types only.

For processes that have both. Numbers, text and times of fixed size are bytes with a type; arrays of
objects cross when all their members do. What has another type (categories, nullable columns, time
zones) does not cross, and stays in its process.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # its stubs are another package

from roundsmith.sandbox import taught
from roundsmith.sandbox.reading import CodecError
from roundsmith.sandbox.taught import Parts

_DTYPE = re.compile(r"[<>|=]?(\?|b1|[iu][1248]|f[248]|c8|c16|[US]\d{1,6}|[mM]8\[[a-zA-Z]{1,2}\])")
_SCALARS = (
    *(np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
    *(np.float16, np.float32, np.float64, np.complex64, np.complex128),
    *(np.datetime64, np.timedelta64),
)


def install() -> None:
    """Makes the codec of this process carry them."""
    changing = (np.ndarray, pd.Series, pd.DataFrame)
    for kind in _SCALARS:
        taught.extend(kind, _scalar_parts)
    taught.extend(np.ndarray, _array_parts, changing)
    taught.extend(pd.RangeIndex, lambda i: ("RangeIndex", (i.start, i.stop, i.step, i.name)))
    for kind in (pd.Index, pd.DatetimeIndex, pd.TimedeltaIndex):
        taught.extend(kind, _index_parts)
    taught.extend(pd.MultiIndex, _multi_index_parts)
    taught.extend(pd.Series, lambda s: ("Series", (_column(s), s.index, s.name)), changing)
    taught.extend(pd.DataFrame, _frame_parts, changing)
    taught.extend(pd.Timestamp, _time_parts)
    taught.extend(pd.Timedelta, _time_parts)
    taught.extend(type(pd.NaT), lambda value: ("NaT", None))
    taught.extend(type(pd.NA), lambda value: ("NA", None))
    taught.make_parted(_MAKERS, take_over)


def take_over(given: Any, changed: Any) -> None:
    """Makes `given`, of the same type, what `changed` is."""
    if isinstance(given, np.ndarray):
        if given.shape != changed.shape:
            given.resize(changed.shape, refcheck=False)
        given[...] = changed
    elif isinstance(given, pd.DataFrame | pd.Series):
        type(given).__init__(given, changed)


def _scalar_parts(value: Any) -> Parts:
    return "scalar", (_dtype_name(value.dtype), value.tobytes())


def _array_parts(value: Any) -> Parts:
    if value.dtype == object:
        return "objects", (value.shape, value.ravel().tolist())
    return "array", (_dtype_name(value.dtype), value.shape, value.tobytes())


def _dtype_name(dtype: Any) -> str:
    if not _DTYPE.fullmatch(dtype.str):
        raise CodecError(f"values of {dtype} do not cross")
    return str(dtype.str)


def _column(series: Any) -> Any:
    if not isinstance(series.dtype, np.dtype):
        raise CodecError(f"a column of {series.dtype} does not cross")
    return series.to_numpy()


def _index_parts(index: Any) -> Parts:
    freq = getattr(index, "freqstr", None)
    return "Index", (type(index).__name__, _column(index), index.name, freq)


def _multi_index_parts(index: Any) -> Parts:
    levels = [index.get_level_values(at) for at in range(index.nlevels)]
    return "MultiIndex", (levels, list(index.names))


def _frame_parts(frame: Any) -> Parts:
    columns = [_column(frame.iloc[:, at]) for at in range(frame.shape[1])]
    return "DataFrame", (columns, frame.index, frame.columns)


def _time_parts(value: Any) -> Parts:
    if getattr(value, "tzinfo", None) is not None:
        raise CodecError("times with a zone do not cross")
    return type(value).__name__, value.to_numpy()


def _array(parts: Any) -> Any:
    name, shape, content = parts
    return np.frombuffer(content, _known(name)).reshape(_shape(shape)).copy()


def _scalar(parts: Any) -> Any:
    name, content = parts
    (value,) = np.frombuffer(content, _known(name))
    return value


def _known(name: str) -> Any:
    if not _DTYPE.fullmatch(name):
        raise CodecError(f"an array of {name[:20]!r}")
    return np.dtype(name)


def _shape(shape: Any) -> tuple[int, ...]:
    if type(shape) is not tuple or len(shape) > 32 or any(type(n) is not int for n in shape):
        raise CodecError("an array without a shape")
    return shape


def _objects(parts: Any) -> Any:
    shape, members = parts
    if len(members) != math.prod(_shape(shape)):
        raise CodecError("an array of another shape")
    made = np.empty(len(members), object)
    made[:] = members
    return made.reshape(shape)


def _index(parts: Any) -> Any:
    name, values, label, freq = parts
    kinds = {kind.__name__: kind for kind in (pd.Index, pd.DatetimeIndex, pd.TimedeltaIndex)}
    with_freq = {} if freq is None else {"freq": freq}
    return kinds[name](values, name=label, **with_freq)


def _multi_index(parts: Any) -> Any:
    levels, names = parts
    return pd.MultiIndex.from_arrays(levels, names=names)


def _series(parts: Any) -> Any:
    values, index, name = parts
    return pd.Series(values, index, name=name)


def _frame(parts: Any) -> Any:
    columns, index, names = parts
    frame = pd.DataFrame(dict(enumerate(columns)), index)
    frame.columns = names
    return frame


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "scalar": _scalar,
    "array": _array,
    "objects": _objects,
    "RangeIndex": lambda parts: pd.RangeIndex(*parts[:3], name=parts[3]),
    "Index": _index,
    "MultiIndex": _multi_index,
    "Series": _series,
    "DataFrame": _frame,
    "Timestamp": pd.Timestamp,
    "Timedelta": pd.Timedelta,
    "NaT": lambda parts: pd.NaT,
    "NA": lambda parts: pd.NA,
}
