"""Chains of rounds through kfp's client, against an API on loopback: nothing runs behind it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("kfp", reason="needs the extra cluster")

from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.errors import ConfigError, PlatformError, UnknownName
from roundsmith.platform.chain import Chain
from roundsmith.platform.component import next_round
from roundsmith.platform.parameters import check_parameters
from roundsmith.platform.pipelines_api import PipelinesApi
from roundsmith.steps.config import RunConfig
from roundsmith.steps.rules import RoundSeen
from roundsmith.steps.spent import Spent
from tests.pipelines.platform.clusters import described
from tests.pipelines.platform.pipelines_server import Backend, serving
from tests.pipelines.platform.test_pipeline import DEFAULTS


@pytest.fixture
def backend() -> Iterator[Backend]:
    """The API of a Kubeflow for one user."""
    with serving(Backend()) as found:
        yield found


def typed(*command: str) -> str:
    """What a command says; it must succeed."""
    done = CliRunner().invoke(app, list(command), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def submit(backend: Backend, *parameters: str, name: str = "c") -> str:
    """Starts a chain as a person does."""
    given = [word for parameter in parameters for word in ("--param", parameter)]
    return typed("submit", "--pipelines", backend.url, "--name", name, *given)


def plan(folder: Path, backend: Backend, run: str, **changes: Any) -> str:
    """The plan of a round on a cluster whose storage is a folder and whose API is this one."""
    place = folder / "cluster.json"
    told = described() | {"storage": str(folder), "pipelines": {"host": backend.url}}
    place.write_text(json.dumps(told))
    given = {**DEFAULTS, "rounds": 2, "chain": "c", "cluster": str(place), **changes}
    return check_parameters(given, run).model_dump_json()


def decide(folder: Path, text: str, *, promoted: bool = True) -> None:
    """Ends the first round of a chain."""
    config = RunConfig.model_validate(json.loads(text)["config"])
    seen = RoundSeen(promoted, 0.5, Spent())
    Chain(str(folder), "c").decided(config, seen, 1, "train/1", {})


def test_a_chain_begins_with_one_run_however_often_it_is_submitted(backend: Backend) -> None:
    parameters = ("recipe=rft", "rounds=2", 'config={"samples": 3}')
    assert "c-round-1 is submitted" in submit(backend, *parameters)
    assert "c-round-1 is there already" in submit(backend, *parameters)
    (run,) = backend.runs.values()
    given = run["runtime_config"]["parameters"]
    assert given == {"recipe": "rft", "rounds": 2, "config": {"samples": 3}, "chain": "c"}
    (experiment,) = backend.experiments.values()
    assert experiment["display_name"] == "roundsmith"


def test_a_run_that_failed_is_submitted_anew(backend: Backend) -> None:
    submit(backend)
    next(iter(backend.runs.values()))["state"] = "FAILED"
    assert "is submitted" in submit(backend)
    assert len(backend.runs) == 2


@pytest.mark.parametrize(
    ("parameter", "seen"),
    [
        ("round=3", "did you mean 'rounds'"),
        ("rounds", "expected name=value"),
        ("rounds=many", "--param rounds: expected JSON of a number_integer, saw 'many'"),
        ("rounds=true", "expected JSON of a number_integer"),
        ("config=3", "expected JSON of a struct"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_is_sent(
    backend: Backend, parameter: str, seen: str
) -> None:
    with pytest.raises(ConfigError, match=seen):
        submit(backend, parameter)
    assert not backend.experiments


@pytest.mark.parametrize("by_version", [True, False])
def test_the_last_task_submits_the_next_round_once(
    backend: Backend, tmp_path: Path, by_version: bool
) -> None:
    submit(backend, "rounds=2", "seed=4")
    first = backend.runs["run-1"]
    if by_version:
        upload(backend, tmp_path)
        by_its_version(backend, first)
    text = plan(tmp_path, backend, "run-1", seed=4)
    decide(tmp_path, text)
    assert next_round(text) == "c-round-2 is submitted: run-2"
    assert next_round(text) == "c-round-2 is submitted: run-2"
    assert list(backend.runs) == ["run-1", "run-2"]
    second = backend.runs["run-2"]
    given = second["runtime_config"]["parameters"]
    assert given == {"rounds": 2, "seed": 4, "chain": "c", "round_number": 2}
    for same in ("experiment_id", "pipeline_spec", "pipeline_version_reference"):
        assert second.get(same) == first.get(same)
    other = plan(tmp_path, backend, "run-9", seed=4)
    assert next_round(other) == "c-round-2 is submitted by another run of round 1"


def by_its_version(backend: Backend, run: dict[str, Any]) -> None:
    """A run as the UI starts it from the latest version of an uploaded pipeline."""
    version = list(backend.versions.values())[-1]
    told = {key: version[key] for key in ("pipeline_id", "pipeline_version_id")}
    run["pipeline_version_reference"] = told
    run.pop("pipeline_spec", None)


def test_a_chain_whose_version_an_upgrade_removed_goes_on_with_the_present_one(
    backend: Backend, tmp_path: Path
) -> None:
    upload(backend, tmp_path)
    submit(backend, "rounds=2")
    first = backend.runs["run-1"]
    by_its_version(backend, first)
    text = plan(tmp_path, backend, "run-1")
    decide(tmp_path, text)
    gone = first["pipeline_version_reference"]["pipeline_version_id"]
    backend.versions.clear()
    with pytest.raises(SystemExit, match="expected a version of pipeline pip-1, saw none"):
        next_round(text)
    upload(backend, tmp_path, "--image", "registry/roundsmith:2")
    (present,) = backend.versions
    assert present != gone
    assert next_round(text) == "c-round-2 is submitted: run-2"
    told = backend.runs["run-2"]["pipeline_version_reference"]
    assert told == {"pipeline_id": "pip-1", "pipeline_version_id": present}


def test_a_round_whose_submission_was_lost_with_its_run_is_submitted_by_the_next_run(
    backend: Backend, tmp_path: Path
) -> None:
    submit(backend, "rounds=2")
    text = plan(tmp_path, backend, "run-1")
    decide(tmp_path, text)
    Chain(str(tmp_path), "c").claim(2, "run-1", lambda run: False)  # and was killed
    backend.runs["run-1"]["state"] = "FAILED"
    backend.runs["run-2"] = {**backend.runs["run-1"], "run_id": "run-2", "state": "RUNNING"}
    again = plan(tmp_path, backend, "run-2")
    assert next_round(again) == "c-round-2 is submitted: run-3"
    del backend.runs["run-1"]
    assert next_round(again) == "c-round-2 is submitted: run-3"
    assert [run["display_name"] for run in backend.runs.values()] == ["c-round-1", "c-round-2"]


def test_a_chain_that_was_begun_with_other_parameters_is_not_taken_for_the_one_asked_for(
    backend: Backend,
) -> None:
    submit(backend, "recipe=rft", "seed=4")
    assert "is there already" in submit(backend, "seed=4", "recipe=rft", "rounds=1")
    with pytest.raises(ConfigError, match=r"run c-round-1: .* started with, recipe=.rft., seed=4,"):
        submit(backend, "seed=5")
    assert len(backend.runs) == 1


def test_a_chain_that_is_over_or_cancelled_submits_nothing(
    backend: Backend, tmp_path: Path
) -> None:
    submit(backend)
    text = plan(tmp_path, backend, "run-1", rounds=1)
    decide(tmp_path, text)
    assert next_round(text) == "chain c has ended: 1 of 1 rounds are played"
    other = tmp_path / "other"
    other.mkdir()
    text = plan(other, backend, "run-1")
    decide(other, text)
    said = typed("cancel", "c", "--pipelines", backend.url, "--storage", str(other))
    assert "ended c-round-1" in said
    assert backend.runs["run-1"]["state"] == "CANCELED"
    assert next_round(text) == "chain c was cancelled: c-round-2 is not submitted"
    with pytest.raises(ConfigError, match="it was cancelled: give another name"):
        plan(other, backend, "run-1")
    assert len(backend.runs) == 1


def test_status_tells_of_a_chain_alone(backend: Backend) -> None:
    submit(backend, name="c")
    submit(backend, name="cc")
    submit(backend, name="c-round-trip")
    told = json.loads(typed("status", "c", "--pipelines", backend.url, "--json"))
    (run,) = told
    assert (run["name"], run["chain"], run["state"]) == ("c-round-1", "c", "RUNNING")
    assert "cc-round-1" in typed("status", "--pipelines", backend.url)
    typed("cancel", "c", "--pipelines", backend.url)
    assert [run["state"] for run in backend.runs.values()] == ["CANCELED", "RUNNING", "RUNNING"]


def test_a_chain_that_the_ui_began_is_told_and_ended_by_its_parameter(backend: Backend) -> None:
    submit(backend, name="c")
    backend.runs["run-1"]["display_name"] = "begun by UI"
    assert "begun by UI" in typed("status", "c", "--pipelines", backend.url)
    assert "ended begun by UI" in typed("cancel", "c", "--pipelines", backend.url)
    assert backend.runs["run-1"]["state"] == "CANCELED"


def test_a_chain_that_was_given_no_name_is_ended_by_what_its_first_round_told_the_storage(
    backend: Backend, tmp_path: Path
) -> None:
    submit(backend)
    first = backend.runs["run-1"]
    first["display_name"] = "begun by UI"
    first["runtime_config"]["parameters"]["chain"] = ""
    chain = Chain(str(tmp_path), "gift-1a2b3c4d")
    chain.enter("run-1")
    cancel = ("cancel", chain.name, "--pipelines", backend.url)
    with pytest.raises(UnknownName, match="without one is found by --storage"):
        typed(*cancel)
    assert "ended begun by UI" in typed(*cancel, "--storage", str(tmp_path))
    assert first["state"] == "CANCELED"
    with pytest.raises(ConfigError, match="it was cancelled: give another name"):
        chain.enter("run-2")


def test_what_the_api_refuses_is_told(backend: Backend) -> None:
    with pytest.raises(UnknownName, match="chain 'none': expected runs of it at "):
        typed("cancel", "none", "--pipelines", backend.url)
    with pytest.raises(PlatformError, match="check the address"):
        typed("status", "--pipelines", "http://127.0.0.1:9")


def test_a_platform_of_several_users_is_shown_a_token_and_a_namespace(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with serving(Backend(token="secret")) as backend:
        api = PipelinesApi(backend.url, "alice", str(file))
        file.write_text("wrong")
        with pytest.raises(PlatformError, match="status 401: Unauthenticated"):
            api.runs()
        file.write_text("secret")
        assert api.runs() == [], "read again, as the kubelet renews it"


def upload(backend: Backend, folder: Path, *options: str) -> str:
    """What `roundsmith compile` says of an upload."""
    output = str(folder / "pipeline.yaml")
    return typed("compile", "--output", output, "--pipelines", backend.url, *options)


def test_a_pipeline_is_uploaded_once_and_its_next_state_is_another_version(
    backend: Backend, tmp_path: Path
) -> None:
    assert "is uploaded" in upload(backend, tmp_path)
    assert "is there already" in upload(backend, tmp_path)
    assert "is uploaded" in upload(backend, tmp_path, "--image", "registry/roundsmith:2")
    (pipeline,) = backend.pipelines.values()
    assert pipeline["display_name"] == "roundsmith"
    own, first, second = backend.versions.values()
    assert own["display_name"] == "roundsmith", "which Kubeflow makes with the pipeline"
    assert own["pipeline_spec"] == first["pipeline_spec"] != second["pipeline_spec"]
    assert "registry/roundsmith:2" in str(second["pipeline_spec"])


def test_a_pipeline_is_uploaded_to_its_users_namespace(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    options = ("--token", str(token), "--name", "rounds", "--namespace")
    with serving(Backend(token="secret")) as backend:
        for user in ("ann", "ben"):
            assert "is uploaded" in upload(backend, tmp_path, *options, user)
    assert [p["namespace"] for p in backend.pipelines.values()] == ["ann", "ben"]


def test_objects_are_not_uploaded(backend: Backend, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--manifests: expected a pipeline to upload"):
        upload(backend, tmp_path, "--manifests")
    assert not backend.pipelines
