"""The page of the API names every reason that a service may give, and every way to draw."""

import re
from dataclasses import fields
from pathlib import Path

from roundsmith.types import Sampling
from roundsmith.wire.status import _CLASSES

PAGE = Path(__file__).parents[2] / "docs" / "grpc.md"
NOT_OF_SERVICES = {"Corrupt", "IncompleteEvaluation", "UnfitTasks"}
"""Errors of commands and of the store of a run."""


def test_each_reason_is_told_with_its_code() -> None:
    table = PAGE.read_text().split("**Errors.**")[1].split("**Ending.**")[0]
    told = {
        reason: code
        for reasons, code in re.findall(r"^\| (`[^|]+`) \| ([A-Z_]+) \|", table, re.MULTILINE)
        for reason in re.findall(r"`(\w+)`", reasons)
    }
    known = {name: cls.status for name, cls in _CLASSES.items() if name not in NOT_OF_SERVICES}
    assert told == known


def test_each_way_to_draw_is_told_with_its_range() -> None:
    table = PAGE.read_text().split("| of `sampling` |")[1].split("\n\n")[0]
    told = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row[:60])}
    assert {field.name for field in fields(Sampling)} - {"constraint"} == told
