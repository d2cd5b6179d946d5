"""Rows of published files as pydantic models, read with errors in our words."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from roundsmith.benchmarks.files import Fields
from roundsmith.benchmarks.problems import BadField, shown

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
    "tuple_type": "a list",
    "string_too_short": "a text that is not empty",
    "too_short": "at least one",
    "enum": "train, gate or final",
}


def checked(model: type[Model], fields: Fields) -> Model:
    """The row as `model`; raises BadField for the first field that does not fit."""
    try:
        return model.model_validate(fields)
    except ValidationError as invalid:
        error = invalid.errors(include_url=False)[0]
        kind = error["type"]
        field = ".".join(str(part) for part in error["loc"])
        if kind == "missing":
            raise BadField(field, f"only the fields {sorted(fields)}", "this field") from invalid
        known = (
            f": the fields are {', '.join(model.model_fields)}" if kind == "extra_forbidden" else ""
        )
        expected = EXPECTED.get(kind, error["msg"])
        raise BadField(field, shown(error["input"]), f"{expected}{known}") from invalid
