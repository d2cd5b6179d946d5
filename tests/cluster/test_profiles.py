"""Two users of one installation, each in a namespace of its own, playing at once: neither finds,
reaches or may do what is the other's.
"""

from functools import partial

import pytest

from tests.cluster.conftest import ACCOUNT, Installed, Rounds, of_profile
from tests.cluster.test_round import storage
from tests.cluster.test_sandbox import CONNECT, RESOLVE, in_the_end
from tests.cluster.world import NAMESPACE, PROFILE, RELEASE, Cluster

CALLER = "caller"


def test_each_user_trained_for_itself_and_stored_under_its_own_prefix(
    profiles: Installed, rounds: Rounds
) -> None:
    assert {namespace: len(names) for namespace, names in rounds.trainings.items()} == {
        NAMESPACE: 1,
        PROFILE: 1,
    }
    kinds = [next(iter(rounds.trainings[name])).split("/")[0] for name in (NAMESPACE, PROFILE)]
    assert kinds == ["pytorchjob.kubeflow.org", "trainjob.trainer.kubeflow.org"]
    mine, others = (
        {name.removeprefix(url.removeprefix("s3://")) for name in storage().find(url)}
        for url in (f"{profiles.cluster.storage}/", f"{of_profile(profiles.cluster)}/")
    )
    computed = {name for name in mine & others if name.startswith("store/")}
    assert computed, "the same round has the same objects, which each made anew"
    assert {name.split("/")[1] for name in others if name.startswith("runs/")} == {"piped"}
    assert not [
        name for name in mine if name.split("/")[:2] in (["runs", "piped"], ["chains", "piped"])
    ]
    assert any(name.startswith("chains/piped/") for name in others)


@pytest.mark.parametrize(
    ("verb", "what"),
    [("create", "trainjobs.trainer.kubeflow.org"), ("list", "pods")],
)
@pytest.mark.parametrize(("namespace", "allowed"), [(PROFILE, "yes"), (NAMESPACE, "no")])
def test_the_account_of_a_profile_may_play_in_its_own_namespace_alone(
    profiles: Installed, verb: str, what: str, namespace: str, allowed: str
) -> None:
    account = f"system:serviceaccount:{PROFILE}:{ACCOUNT}"
    asked = ("auth", "can-i", verb, what, "--as", account)
    done = profiles.cluster.answered(*asked, namespace=namespace)
    assert done.stdout.split()[-1] == allowed


def test_a_round_of_one_user_reaches_what_all_share_and_nothing_else_of_the_other(
    profiles: Installed,
) -> None:
    cluster = profiles.cluster
    caller = start_caller(cluster)
    try:
        for reached in (f"{RELEASE}-generator.{PROFILE}", f"{RELEASE}-executor.{NAMESPACE}"):
            ask = (caller, CONNECT, reached, 8033)
            assert in_the_end(partial(cluster.python, *ask), "reached") == "reached", reached
        for other in (f"{RELEASE}-generator.{NAMESPACE}", f"{RELEASE}-scorer.{NAMESPACE}"):
            assert in_the_end(partial(resolves, cluster, caller, other), wanted=True), other
            for port in (8033, 8034):
                said = cluster.python(caller, CONNECT, other, port)
                assert said.startswith("blocked:"), (other, port)
    finally:
        cluster.kubectl("delete", "pod", CALLER, "--grace-period=1", namespace=PROFILE)


def resolves(cluster: Cluster, caller: str, name: str) -> bool:
    """Whether a pod is told addresses of a name."""
    return cluster.python(caller, RESOLVE, name).startswith("reached")


def start_caller(cluster: Cluster) -> str:
    """A pod that the policies take for a round of the profile."""
    told = cluster.get(f"deployment/{RELEASE}-executor")["spec"]["template"]["spec"]
    image = told["containers"][0]["image"]
    labels = {"name": "roundsmith", "instance": RELEASE, "component": "control"}
    labelled = ",".join(f"app.kubernetes.io/{key}={value}" for key, value in labels.items())
    run = ("run", CALLER, f"--image={image}", "--restart=Never", f"--labels={labelled}")
    cluster.kubectl(*run, "--command", "--", "sleep", "3600", namespace=PROFILE)
    wait = ("wait", "--for=condition=Ready", f"pod/{CALLER}", "--timeout=600s")
    cluster.kubectl(*wait, namespace=PROFILE)
    return f"{PROFILE}/{CALLER}"
