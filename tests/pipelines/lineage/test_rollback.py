"""Taking a promotion back: what counts is the checkpoint before it."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.commands.promotions import (
    Current,
    current,
    is_promoted,
    rolled_back,
    take_back,
)
from roundsmith.errors import ConfigError, Unavailable
from roundsmith.hashing import weights_sha256
from roundsmith.lineage.history import History
from roundsmith.store import EXAMPLES, Store
from roundsmith.v1 import generator_admin_pb2 as pb2
from tests.pipelines.lineage.made import (
    MadeRun,
    decided_again,
    made_run,
    next_round,
    shown,
    trained_again,
)


def weights(run: MadeRun) -> str:
    return str(run.checkpoint.stats["weights_sha256"])


def test_each_rollback_goes_one_promotion_back_until_the_first_model(tmp_path: Path) -> None:
    first = shown(made_run(tmp_path), tmp_path)
    second = shown(next_round(first, tmp_path), tmp_path)
    third = shown(next_round(second, tmp_path, promoted=False), tmp_path)
    history = History(first.context.store)
    assert current(history, str(tmp_path)).weights_sha256 == weights(second)
    taken, now = take_back(history, str(tmp_path), "worse")
    assert (taken.round, taken.reason, now.round) == (2, "worse", 1)
    assert now.weights_sha256 == weights(first)
    taken, now = take_back(history, str(tmp_path), "")
    assert (taken.round, now.round) == (1, 0)
    assert now.weights_sha256 == first.model.stats["weights_sha256"]
    with pytest.raises(ConfigError, match="expected a promoted checkpoint to take back, saw none"):
        take_back(history, str(tmp_path), "")
    assert not is_promoted(history, third.decision, frozenset())
    assert is_promoted(history, second.decision, frozenset())
    assert not is_promoted(history, second.decision, rolled_back(str(tmp_path)))


def test_what_was_taken_back_does_not_come_back_when_more_rounds_are_planned(
    tmp_path: Path,
) -> None:
    first = shown(made_run(tmp_path), tmp_path)
    take_back(History(first.context.store), str(tmp_path), "worse")
    again = shown(decided_again(first, rounds=2), tmp_path)
    assert again.decision.key != first.decision.key
    history = History(first.context.store)
    assert is_promoted(history, again.decision, frozenset())
    assert not is_promoted(history, again.decision, rolled_back(str(tmp_path)))
    assert current(history, str(tmp_path)).round == 0


def test_report_and_trace_say_that_a_promotion_was_taken_back(
    original: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(original, tmp_path / "run")
    store = Store(str(run / "store"))
    row = next(r for m in store.manifests("select") for r in store.read_all(EXAMPLES, m))

    def printed(*words: str) -> str:
        done = CliRunner().invoke(app, list(words))
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    of_row = ("trace", row.example_id, "--run", str(run))
    assert "taken back" not in printed("report", str(run)) + printed(*of_row)
    printed("rollback", str(run), "--reason", "worse on customers' tasks")
    told = "its promotion was taken back: worse on customers' tasks"
    assert told in printed("report", str(run))
    assert told in printed("report", str(run / "round-1"))
    assert "promoted, taken back)" in printed(*of_row)
    (checkpoint,) = json.loads(printed(*of_row, "--json"))["uses"]["checkpoints"]
    assert (checkpoint["promoted"], checkpoint["taken_back"]) == (True, True)


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_checkpoint_that_counts_is_of_the_run_that_the_folder_shows(
    tmp_path: Path, seed: int
) -> None:
    other = shown(made_run(tmp_path), tmp_path)
    later = shown(trained_again(other, tmp_path, seed), tmp_path)
    history = History(other.context.store)
    assert current(history, str(tmp_path)).weights_sha256 == weights(later) != weights(other)
    taken, now = take_back(history, str(tmp_path), "worse")
    assert (taken.weights_sha256, now.round) == (weights(later), 0)


def test_rounds_of_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    first = shown(made_run(tmp_path), tmp_path)
    shown(next_round(first, tmp_path), tmp_path)
    shown(trained_again(first, tmp_path, seed=1), tmp_path)
    with pytest.raises(
        ConfigError, match=r"round-2/summary.json: expected a round of the same run"
    ):
        current(History(first.context.store), str(tmp_path))


def test_the_command_says_what_counts_now_and_keeps_why(tmp_path: Path) -> None:
    first = shown(made_run(tmp_path), tmp_path)
    done = CliRunner().invoke(app, ["rollback", str(tmp_path), "--reason", "a bad task"])
    assert done.exit_code == 0, done.output
    assert f"taken back: round 1, weights {weights(first)}" in done.output
    assert "counts now: the model that the run began with" in done.output
    (kept,) = json.loads((tmp_path / "rollbacks.json").read_text())["rollbacks"]
    assert kept["reason"] == "a bad task"
    assert kept["decision"] == first.decision.reference


def test_a_record_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rollbacks.json").write_text("[]")
    with pytest.raises(ConfigError, match="expected what `roundsmith rollback` writes"):
        rolled_back(str(tmp_path))


def admin_server(asked: list[tuple[str, str]]) -> tuple[grpc.Server, str]:
    """A generator's admin that serves no model and keeps what it was asked for; its address."""

    def reload(request: pb2.ReloadWeightsRequest, _: grpc.ServicerContext) -> bytes:
        asked.append((request.uri, request.sha256))
        return pb2.ReloadWeightsResponse(weights_sha256=request.sha256).SerializeToString()

    method: grpc.RpcMethodHandler[pb2.ReloadWeightsRequest, bytes] = (
        grpc.unary_unary_rpc_method_handler(
            reload, request_deserializer=pb2.ReloadWeightsRequest.FromString
        )
    )
    service = "roundsmith.v1.GeneratorAdminService"
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"ReloadWeights": method}),)
    )
    return server, f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"


def test_where_the_generator_does_not_take_the_earlier_weights_nothing_is_taken_back(
    tmp_path: Path,
) -> None:
    first = shown(made_run(tmp_path), tmp_path)
    second = shown(next_round(first, tmp_path), tmp_path)
    asked: list[str] = []

    def serve(now: Current) -> None:
        asked.append(now.weights_sha256)
        if len(asked) == 1:
            raise Unavailable("the generator is away")

    history = History(first.context.store)
    with pytest.raises(Unavailable):
        take_back(history, str(tmp_path), "worse", serve)
    assert current(history, str(tmp_path)).weights_sha256 == weights(second)
    taken, now = take_back(history, str(tmp_path), "worse", serve)
    assert (taken.round, now.round) == (2, 1), "asked again, it goes no further back"
    assert asked == [weights(first)] * 2


def test_with_admin_the_generator_there_serves_the_earlier_weights(tmp_path: Path) -> None:
    first = shown(made_run(tmp_path), tmp_path)
    shown(next_round(first, tmp_path), tmp_path)
    asked: list[tuple[str, str]] = []
    server, address = admin_server(asked)
    server.start()
    try:
        done = CliRunner().invoke(app, ["rollback", str(tmp_path), "--admin", address])
    finally:
        server.stop(None).wait()
    assert done.exit_code == 0, done.output
    uri = str((tmp_path / "work/checkpoints").resolve() / weights(first))
    assert asked == [(uri, weights(first))]
    assert weights_sha256(Path(uri)) == weights(first), "the run's own copy may be gone"
    assert f"served now: {uri} at {address}" in done.output
