"""The code × test matrix of a group, as a choice may read it. Axes: J codes, K tests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roundsmith.recipes.minimax import Passed
from roundsmith.types import Group, Kind, Sample
from roundsmith.verdicts import Label

_SURE = (Label.POSITIVE, Label.NEGATIVE)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Codes whose every cell has a label, the self-made tests that ran, and who passed what."""

    codes: Sequence[Sample]
    tests: Sequence[Sample]
    passed_JK: Passed


def matrix_of(group: Group) -> Matrix:
    """The matrix of a group's self-made tests; a code with a cell that may not become a label is
    left out. Outcomes on the task's own tests are not looked at.
    """
    labels = {(o.code_id, o.test_id): o.label for o in group.outcomes}
    ran = {test_id for _, test_id in labels}
    tests = [s for s in group.samples if s.kind is Kind.TEST and s.sample_id in ran]
    codes, cells = [], []
    for code in group.samples:
        row = [labels.get((code.sample_id, test.sample_id)) for test in tests]
        if code.kind is Kind.CODE and all(label in _SURE for label in row):
            codes.append(code)
            cells.append([label is Label.POSITIVE for label in row])
    return Matrix(codes, tests, np.array(cells, bool).reshape(len(codes), len(tests)))
