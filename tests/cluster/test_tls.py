"""With mTLS: certificates made as the documents say, a round by them, and nobody without one."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.cluster.caller import CALLER, calling, said
from tests.cluster.conftest import remove
from tests.cluster.world import BIN, NAMESPACE, RELEASE, ROOT, Cluster

SECURED = f"{NAMESPACE}-tls"
ROUND = ("--recipe", "rft", "--preset", "lab", "--limit", "4", "--eval-limit", "4", "--no-control")
CALLS = """
import asyncio
from pathlib import Path
from roundsmith.clients import ClientTls, StreamSettings, connect
from roundsmith.errors import RoundsmithError
from roundsmith.platform import service_checks as ask
from roundsmith.platform.cluster_config import ClusterConfig

endpoints = ClusterConfig.read(Path("/etc/roundsmith/cluster.json")).endpoints
shown = {"rounds": endpoints.tls, "nothing": ClientTls(ca=endpoints.tls.ca), "plain": None}

async def main():
    for name, tls in shown.items():
        patient = StreamSettings(give_up_s=400 if name == "rounds" else 5)
        async with connect(endpoints.model_copy(update={"tls": tls}), patient) as services:
            for work in ask.generator, ask.executor, ask.scorer, ask.pair_builder:
                try:
                    await work(services)
                    print(name, work.__name__, "answered", flush=True)
                except RoundsmithError as error:
                    print(name, work.__name__, "refused", type(error).__name__, flush=True)

asyncio.run(main())
"""
"""Asks every service by the certificate of rounds, by none, and without TLS."""
SHOWN = ("rounds", "nothing", "plain")
SERVICES = ("generator", "executor", "scorer", "pair_builder")


def documented() -> str:
    """The commands by which docs/cluster.md makes certificates."""
    page = (ROOT / "docs/cluster.md").read_text()
    section = page.split("### Certificates of your own\n", 1)[1]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def secured(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What the installation of a release with mTLS printed, in a namespace of its own."""
    folder = tmp_path_factory.mktemp("tls")
    where = (f"NAMESPACE={SECURED}", f"RELEASE={RELEASE}")
    remove(cluster, SECURED)
    try:
        cluster.run("env", "-C", folder, *where, "bash", "-euc", documented())
        values = folder / "values.json"
        secrets = {f"{kind}Secret": f"{RELEASE}-{kind}-tls" for kind in ("server", "client")}
        values.write_text(json.dumps({"tls": {"enabled": True, **secrets}}))
        given = f"HELM_VALUES={ROOT / 'charts/roundsmith/values-small.yaml'} {values}"
        storage = f"STORAGE_URL={cluster.storage}/tls"
        yield cluster.run("env", *where, given, storage, ROOT / "charts/install")
    finally:
        remove(cluster, SECURED)


def test_every_service_works_for_who_shows_the_certificate_of_rounds(secured: str) -> None:
    assert "Phase:          Succeeded" in secured


def test_without_a_certificate_of_the_authority_no_service_answers(
    cluster: Cluster, secured: str
) -> None:
    done = f"pod/{CALLER}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=1700s"
    with calling(cluster, CALLS, SECURED):
        cluster.kubectl("wait", *done, namespace=SECURED)
        # What gRPC says of refused handshakes, and other libraries, is in the log, too.
        told = [line for line in said(cluster, SECURED) if line.split(" ")[0] in SHOWN]
    assert [f"rounds {service} answered" for service in SERVICES] == told[:4]
    others = [(name, service) for name in ("nothing", "plain") for service in SERVICES]
    assert told[4:] == [f"{name} {service} refused Unavailable" for name, service in others]


def test_a_round_is_played_by_mtls(cluster: Cluster, secured: str) -> None:
    where = ("--namespace", SECURED, "--release", RELEASE, "--name", "secured")
    log = cluster.run(BIN / "roundsmith", "submit", *where, "--", *ROUND)
    assert f"{cluster.storage}/tls/runs/secured/round-1" in log
