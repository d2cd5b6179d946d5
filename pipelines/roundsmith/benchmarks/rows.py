"""Reading a row's fields by a pydantic model, with errors in our words."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from roundsmith.benchmarks.files import Fields
from roundsmith.benchmarks.problems import BadField, shown

Model = TypeVar("Model", bound=BaseModel)

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
