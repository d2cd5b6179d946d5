"""The schema of a user's own task rows (docs/tasks.md), and how a row becomes a task."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from roundsmith.benchmarks.files import Fields
from roundsmith.benchmarks.own_code import own_code
from roundsmith.benchmarks.own_tests import OwnTest, own_tests
from roundsmith.benchmarks.problems import BadField, shown
from roundsmith.benchmarks.rows import Filled, checked
from roundsmith.benchmarks.splits import hash_split
from roundsmith.benchmarks.verbatim import RESERVED
from roundsmith.models.licence import known_licence
from roundsmith.types import Split, Task

SOURCE = "own"


class OwnRow(BaseModel):
    """One row. `signature`, `head` or `reference` gives the code head; scripts need none."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Filled
    description: Annotated[Filled, StringConstraints(strip_whitespace=True)]
    tests: list[OwnTest] = Field(min_length=1)
    signature: Filled | None = None
    head: Filled | None = None
    entry_point: Filled | None = None
    reference: Filled | None = None
    split: Annotated[Split, Field(strict=False)] | None = None
    setup: str = ""
    example: Filled | None = None
    licence: str = ""
    meta: Mapping[str, str] = {}

    @field_validator("id", mode="before")
    @classmethod
    def _number_as_text(cls, value: object) -> object:
        return str(value) if type(value) is int else value


def own_task(fields: Fields) -> Task:
    """One row as a task; a row without `split` gets one by the hash of its id. Raises BadRow."""
    row = checked(OwnRow, fields)
    if taken := sorted(RESERVED & row.meta.keys()):
        raise BadField(
            f"meta.{taken[0]}",
            shown(row.meta[taken[0]]),
            "another name: this one is the system's own, and would change how the task is run",
        )
    code = own_code(row.head or row.signature, row.reference, row.entry_point, row.tests, row.setup)
    return Task(
        task_id=row.id,
        split=row.split or hash_split(row.id),
        description=row.description,
        head=code.head,
        entry_point=code.entry_point,
        tests=own_tests(row.tests, code.entry_point),
        reference=code.reference,
        setup=row.setup,
        example=row.example,
        source=SOURCE,
        licence=known_licence(row.licence),
        meta=dict(row.meta),
    )
