"""Logs that say whose item a line is about: by request and item id, and by trace.

As text or, for machines, one JSON object a line.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_about: ContextVar[dict[str, str]] = ContextVar("_about", default={})  # noqa: B039  # never changed


@contextmanager
def about(**ids: str) -> Iterator[None]:
    """What is logged in the block carries these too; empty ones are left out."""
    given = {name: value for name, value in ids.items() if value}
    token = _about.set({**_about.get(), **given})
    try:
        yield
    finally:
        _about.reset(token)


def use(log_format: str) -> None:
    """Writes what the process logs in this format from now on."""
    formatter = JsonFormatter() if log_format == "json" else TextFormatter(_PLAIN)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)


class TextFormatter(logging.Formatter):
    """The usual line, with the ids behind it."""

    def format(self, record: logging.LogRecord) -> str:
        ids = " ".join(f"{name}={one_line(value)}" for name, value in _about.get().items())
        line = super().format(record)
        return f"{line} [{ids}]" if ids else line


class JsonFormatter(logging.Formatter):
    """`time`, `level`, `logger`, `message`, the ids, and `exception` where there was one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_about.get(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def one_line(text: str) -> str:
    """A text of a caller's that is to lie in a line of ours: what would end the line, or move the
    cursor of who reads it, is written as Python's repr does.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
