"""Checkpoints in a Model Registry: entered once, found by its stock client, and never in the way of
a promotion.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.errors import ConfigError, PlatformError
from roundsmith.platform.cluster_checks import model_registry
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.handing_on import hand_on, hand_on_by_hand
from roundsmith.platform.promotable import read_promoted
from roundsmith.platform.promoting import Promoted
from roundsmith.report.summary import to_json
from roundsmith.storage import replace_file
from tests.pipelines.platform.clusters import described
from tests.pipelines.platform.model_registry_server import Registry, serving
from tests.pipelines.report.rounds import RESULT, SUMMARY
from tests.storages import EVERY, storage_url

SHA256 = "c" * 64
NAME = f"first-round-1-{SHA256[:12]}"
SERVE = {"runtime": "roundsmith", "endpoint": "127.0.0.1:1", "admin": "127.0.0.1:1"}


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry()) as here:
        yield here


def installed(storage: Path, registry: Registry, **told: Any) -> ClusterConfig:
    """A cluster that enters promoted checkpoints in the registry."""
    entered = {"host": registry.url, "model": "r-ml", "token": told.pop("token", "")}
    here = {"storage": str(storage), "model_registry": entered}
    return ClusterConfig.model_validate(described() | here | told)


def played(storage: Path, *, promoted: bool = True) -> str:
    """The folder of a round as a run keeps it."""
    folder = storage / "runs/first/round-1"
    folder.mkdir(parents=True)
    funnel = {"selected rows": 90}
    result = replace(RESULT, promoted=promoted, checkpoint_sha256=SHA256, funnel=funnel)
    (folder / "summary.json").write_text(to_json(replace(SUMMARY, result=result)))
    return str(folder)


def test_the_stock_client_finds_what_was_entered(tmp_path: Path, registry: Registry) -> None:
    client: Any = pytest.importorskip("model_registry")
    folder = played(tmp_path)
    assert hand_on(installed(tmp_path, registry), folder) == [
        f"registered: version {NAME} of model r-ml at {registry.url}"
    ]

    def run(asked: Any) -> Any:
        return asyncio.run(asked)

    stock = client.ModelRegistry(
        registry.url, author="a test", user_token="any", is_secure=False, async_runner=run
    )
    version = stock.get_model_version("r-ml", NAME)
    told = version.custom_properties
    assert version.description.startswith("gift, round 1 of first: pass@1 on `gate` +")
    assert (told["run"], told["round"], told["seed"]) == ("first", 1, "7")
    assert told["weights_sha256"] == SHA256
    assert told["report"] == f"{folder}/report.html"
    gate = SUMMARY.result.pass_at_k["gate"]["1"]
    assert told["gate_pass_at_1_before"] == gate.before < told["gate_pass_at_1_after"]
    files = stock.get_model_artifact("r-ml", NAME)
    assert files.uri == f"{tmp_path}/checkpoints/{SHA256}"
    assert (files.model_source_group, files.model_source_id) == ("ml", folder)


@pytest.mark.parametrize("beside", [False, True])
def test_a_checkpoint_is_entered_once_whoever_else_does(
    tmp_path: Path, registry: Registry, beside: bool
) -> None:
    cluster, folder = installed(tmp_path, registry), played(tmp_path)
    registry.beside = beside
    hand_on(cluster, folder)
    registry.beside = False
    assert hand_on(cluster, folder)[0].endswith(", as it was before")
    assert {many: len(kept) for many, kept in registry.entries.items()} == {
        "registered_models": 1,
        "model_versions": 1,
        "artifacts": 1,
    }


@pytest.mark.parametrize("refusing", ["registered_models", "model_versions", "artifacts"])
def test_a_registry_that_fails_costs_no_round_and_the_same_command_goes_on(
    tmp_path: Path, registry: Registry, refusing: str
) -> None:
    cluster, folder = installed(tmp_path, registry), played(tmp_path)
    registry.refusing = refusing
    [said] = hand_on(cluster, folder)
    assert said.startswith("not registered: ")
    assert "503" in said
    assert said.endswith("`roundsmith promote first --round 1` tries again")
    with pytest.raises(PlatformError, match="no database"):
        list(hand_on_by_hand(cluster, folder))
    registry.refusing = ""
    [said] = hand_on_by_hand(cluster, folder)
    assert said.startswith(f"registered: version {NAME}")
    assert len(registry.entries["artifacts"]) == 1


def test_what_is_served_stays_served_where_the_registry_fails(
    tmp_path: Path, registry: Registry
) -> None:
    history = tmp_path / "promoted"
    serve = {**SERVE, "history": str(history)}
    folder, told = played(tmp_path), installed(tmp_path, registry, serve=serve)
    history.mkdir()
    entry = history / "00000001.json"
    text = json.dumps(asdict(Promoted("uri", SHA256, folder)))
    entry.write_text(text)
    registry.refusing = "registered_models"
    [said] = hand_on(told, folder)
    assert said.startswith("not registered: ")
    assert {file.name: file.read_text() for file in history.glob("*.json")} == {entry.name: text}


def test_a_checkpoint_that_can_not_be_served_costs_no_round(
    tmp_path: Path, registry: Registry
) -> None:
    told = {"serve": {**SERVE, "history": str(tmp_path / "promoted")}, "patience_s": 0.2}
    folder = played(tmp_path)
    served, registered = hand_on(installed(tmp_path, registry, **told), folder)
    assert served.startswith("not served to others: ")
    assert "127.0.0.1:1" in served
    assert served.endswith("`roundsmith promote first --round 1` tries again")
    assert registered.startswith(f"registered: version {NAME}")
    assert not list((tmp_path / "promoted").glob("*.json")), "it is not told as served"


def test_what_the_gate_did_not_promote_is_not_entered(tmp_path: Path, registry: Registry) -> None:
    cluster, folder = installed(tmp_path, registry), played(tmp_path, promoted=False)
    assert hand_on(cluster, folder) == []
    with pytest.raises(ConfigError, match="expected a round whose checkpoint the gate promoted"):
        list(hand_on_by_hand(cluster, folder))
    assert not registry.entries["registered_models"]


@pytest.mark.parametrize("kind", EVERY)
def test_an_unknown_round_is_refused_with_those_that_can_be_promoted(
    tmp_path: Path, kind: str
) -> None:
    runs = f"{storage_url(kind, tmp_path)}/runs"
    with pytest.raises(ConfigError, match=r"runs has no finished round.*`roundsmith status`"):
        read_promoted(f"{runs}/typo/round-1")
    for run, number, promoted in (("a", 1, True), ("b", 1, False), ("b", 2, True), ("b", 10, True)):
        told = replace(RESULT, promoted=promoted, checkpoint_sha256=SHA256)
        summary = to_json(replace(SUMMARY, result=told)).encode()
        replace_file(f"{runs}/{run}/round-{number}/summary.json", summary)
    replace_file(f"{runs}/c/round-1/summary.json", b"{}")
    assert read_promoted(f"{runs}/b/round-2").result.promoted
    for asked, seen, order in (
        ("typo/round-1", "saw no finished round", ["a --round 1", "b --round 2", "b --round 10"]),
        ("b/round-1", "saw one that it did not", ["b --round 2", "b --round 10", "a --round 1"]),
    ):
        with pytest.raises(ConfigError) as refused:
            read_promoted(f"{runs}/{asked}")
        said = str(refused.value)
        assert seen in said
        named = " or ".join(f"`roundsmith promote {each}`" for each in order)
        assert f": {named} promotes one that there is" in said


def test_the_registry_of_an_older_kubeflow_is_spoken_to_in_its_own_version(
    tmp_path: Path, registry: Registry
) -> None:
    registry.versions = ("v1alpha3",)
    cluster = installed(tmp_path, registry)
    assert hand_on(cluster, played(tmp_path))[0].startswith("registered: ")
    assert model_registry(cluster).detail == f"{registry.url} speaks v1alpha3"


def test_the_command_in_a_pod_enters_it_and_says_so(tmp_path: Path, registry: Registry) -> None:
    played(tmp_path)
    file = tmp_path / "cluster.json"
    file.write_text(installed(tmp_path, registry).model_dump_json())
    done = CliRunner().invoke(app, ["promote", "first", "--cluster", str(file)])
    assert done.exit_code == 0, done.output
    assert done.output == f"registered: version {NAME} of model r-ml at {registry.url}\n"


def test_a_token_is_shown_and_a_page_to_log_in_is_not_followed(
    tmp_path: Path, registry: Registry
) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    registry.token = "secret"
    assert model_registry(installed(tmp_path, registry, token=str(token))).ok
    without = model_registry(installed(tmp_path, registry))
    assert not without.ok
    assert "401" in without.detail
    with serving(Registry()) as elsewhere:
        registry.elsewhere = elsewhere.url
        found = model_registry(installed(tmp_path, registry, token=str(token)))
    assert not found.ok
    assert "302" in found.detail
    assert found.remedy.startswith("check modelRegistry.host")


def test_where_no_registry_is_the_remedy_names_the_values(
    tmp_path: Path, registry: Registry
) -> None:
    registry.versions = ()
    found = model_registry(installed(tmp_path, registry))
    assert not found.ok
    assert "saw no /api/model_registry" in found.detail
