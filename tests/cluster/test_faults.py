"""Pods that are killed or evicted in the middle of a round (`disturbed`): what it made is compared
in `test_round`, and here what became of the pods.
"""

import pytest

from tests.cluster.conftest import Installed, Rounds
from tests.cluster.disturbed import GENERATOR
from tests.cluster.world import NAMESPACE, SANDBOX


def test_a_pod_of_each_kind_went_while_the_round_was_played(rounds: Rounds) -> None:
    assert len(set(rounds.gone)) == 5


@pytest.mark.parametrize("component", ["sandbox", "generator"])
def test_what_was_killed_is_there_again(
    installed: Installed, rounds: Rounds, component: str
) -> None:
    namespace = SANDBOX if component == "sandbox" else NAMESPACE
    label = GENERATOR if component == "generator" else f"app.kubernetes.io/component={component}"
    installed.cluster.until_ready("-l", label, namespace=namespace)
