"""Rows of published files as pydantic models, read with errors in our words."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from roundsmith.benchmarks.files import Fields
from roundsmith.benchmarks.problems import BadField, BadRow, shown
from roundsmith.wrong_settings import fields_at

Model = TypeVar("Model", bound=BaseModel)
Filled = Annotated[str, Field(min_length=1)]
"""A text that is not empty."""


class PublishedRow(BaseModel):
    """What we read of a row of a published file; other fields are not looked at."""

    model_config = ConfigDict(frozen=True, strict=True)


class FunctionRow(PublishedRow):
    """What every benchmark in the manner of HumanEval says of a task."""

    task_id: Filled
    entry_point: Filled
    canonical_solution: Filled


EXPECTED = {
    "missing": "this field",
    "extra_forbidden": "no such field",
    "string_type": "a string",
    "int_type": "an integer",
    "list_type": "a list",
    "model_type": "an object",
    "tuple_type": "a list",
    "string_too_short": "a text that is not empty",
    "too_short": "at least one",
    "enum": "train, gate or final",
}


def checked(model: type[Model], fields: Fields) -> Model:
    """The row as `model`; raises BadRow with every field that does not fit."""
    try:
        return model.model_validate(fields)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        raise BadRow([_bad_field(model, error) for error in errors]) from invalid


def _bad_field(model: type[BaseModel], error: ErrorDetails) -> BadField:
    kind, field = error["type"], ".".join(map(str, error["loc"]))
    if kind == "missing":
        return BadField(field, f"only the fields {sorted(error['input'])}", "this field")
    expected = EXPECTED.get(kind, error["msg"])
    if kind == "extra_forbidden":
        table = [name for name in error["loc"][:-1] if isinstance(name, str)]
        expected += f": the fields are {', '.join(fields_at(model, table))}"
    return BadField(field, shown(error["input"]), expected)
