"""From an exception in a child to the kind of failure that it is."""

import errno

from roundsmith.sandbox.reading import CodecError

_DENIED = {errno.EPERM, errno.EACCES, errno.EROFS}
_FILE = {errno.EFBIG, errno.ENOSPC, errno.EDQUOT}
_DETAIL_CHARACTERS = 300
OVERSIZED = "OVERSIZED"
"""What a test and its program say to each other is over the codec's limits, whoever is right."""
# The last is how numpy's functions are wrapped.
_ASSERTING = ("numpy.testing", "pandas._testing", "pandas._libs.testing", "contextlib")

Name = tuple[str, str]
Lineage = list[tuple[Name, list[Name]]]
"""Exception classes by module and name, each with its bases, which come before it."""


class SolverFailure(BaseException):
    """In a tester: the solver's call ended in a failure that is no exception of the program's."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def classify(error: BaseException, test_file: str) -> tuple[str, str]:
    """(kind, one line for a person). An AssertionError is FAIL when the test itself raised it, or
    a comparison of numpy's or pandas' that it called, else ERROR.

    DENIED is an OSError of EPERM, EACCES or EROFS that nothing caught.
    """
    if isinstance(error, SolverFailure):
        return error.kind, str(error)
    return _kind(error, test_file), describe(error)


def _kind(error: BaseException, test_file: str) -> str:
    if isinstance(error, CodecError):
        return OVERSIZED
    if isinstance(error, MemoryError):
        return "MEMORY"
    if isinstance(error, SystemExit):
        return "EXITED_EARLY"
    if isinstance(error, OSError):
        return _os_error_kind(error.errno)
    if type(error) is RuntimeError and "can't start new thread" in str(error):
        return "PROCESS_LIMIT"
    if isinstance(error, AssertionError):
        return "FAIL" if _asserted(error, test_file) else "ERROR"
    return "ERROR"


def _asserted(error: BaseException, test_file: str) -> bool:
    """Whether the test raised it, or what it had compare for it: no other code came between."""
    found, trace = False, error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        library = str(frame.f_globals.get("__name__")).startswith(_ASSERTING)
        found = frame.f_code.co_filename == test_file or (found and library)
        trace = trace.tb_next
    return found


def lineage(kind: type) -> Lineage:
    """An exception class, with those above it."""
    above = [one for one in reversed(kind.__mro__) if issubclass(one, BaseException)]
    return [(_name(one), [_name(base) for base in one.__bases__ if base in above]) for one in above]


def _name(kind: type) -> Name:
    return kind.__module__, kind.__qualname__


def raised_in(error: BaseException) -> str:
    """The file whose code raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename if trace is not None else ""


def _os_error_kind(number: int | None) -> str:
    if number in _DENIED:
        return "DENIED"
    if number in _FILE:
        return "FILE_LIMIT"
    if number == errno.EAGAIN:
        return "PROCESS_LIMIT"
    return "MEMORY" if number == errno.ENOMEM else "ERROR"


def describe(error: BaseException) -> str:
    """The exception's type and text on one line, cut; hostile `__str__` included."""
    try:
        text = str(error)
    except BaseException:
        text = "its text could not be read"
    return f"{type(error).__name__}: {text}"[:_DETAIL_CHARACTERS].replace("\n", " ")


def compile_failure(error: BaseException) -> str:
    """The line and reason of a program that does not compile."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} (line {error.lineno})"[:_DETAIL_CHARACTERS]
    return describe(error)
