"""The list of mechanisms fits the code that it takes them from."""

import pytest

from tests.sandbox.mutate import BOMBS
from tests.sandbox.mutation import Mutation
from tests.sandbox.mutations import GUARD_OFF, MUTATIONS
from tests.sandbox.planted import faulty
from tests.sandbox.test_abuse_table import cases_tested


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mechanism_can_be_taken_from_the_code_and_its_cases_exist(
    mutation: Mutation,
) -> None:
    assert faulty((*mutation.faults, *GUARD_OFF))
    assert set(mutation.cases) <= set(cases_tested())
    assert not set(mutation.cases) & set(BOMBS)


def test_what_shows_only_with_another_names_a_mutation_that_takes_both() -> None:
    by_name = {mutation.name: mutation for mutation in MUTATIONS}
    assert len(by_name) == len(MUTATIONS)
    for mutation in MUTATIONS:
        if mutation.depth:
            assert set(mutation.faults) < set(by_name[mutation.depth].faults)
