"""What is wrong with settings, said by name: the value seen, for a wrong name the right ones."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


def explain(
    error: ValidationError,
    model: type[BaseModel] | None,
    elsewhere: Mapping[str, str] | None = None,
) -> str:
    """One sentence for each problem. A name that `model` does not have is told with the nearest
    that it has and the list of them, or with the table that `elsewhere` says it belongs under.
    """
    problems = error.errors(include_url=False, include_context=False)
    return "; ".join(_explain(problem, model, elsewhere or {}) for problem in problems)


def fields_at(model: type[BaseModel] | None, path: Sequence[str | int]) -> list[str]:
    """The names of the settings of the table at `path` below `model`; none where it can not be
    told.
    """
    for name in path:
        field = None if model is None else model.model_fields.get(str(name))
        model = None if field is None else _table(field.annotation)
    fields = {} if model is None else model.model_fields
    return sorted(field.alias or name for name, field in fields.items())


def _explain(problem: Any, model: type[BaseModel] | None, elsewhere: Mapping[str, str]) -> str:
    where = ".".join(map(str, problem["loc"])) or "JSON"
    if problem["type"] in ("json_invalid", "missing"):  # their input is the whole table or text
        return f"{where}: {problem['msg']}"
    if problem["type"] == "value_error":  # a validator of ours, which tells what it saw
        told = problem["msg"].removeprefix("Value error, ")
        return f"{where}: {told}" if problem["loc"] else told
    if problem["type"] != "extra_forbidden":
        return f"{where}: {problem['msg']}, saw {problem['input']!r}"
    if where in elsewhere:
        return f"{where}: expected under {elsewhere[where]}, saw it outside: move it there"
    known = fields_at(model, problem["loc"][:-1])
    close = difflib.get_close_matches(str(problem["loc"][-1]), known, 1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    expected = f": expected one of {', '.join(known)}" if known else ""
    return f"{where}: no such setting, saw {problem['input']!r}{hint}{expected}"


def _table(annotation: Any) -> type[BaseModel] | None:
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None
