"""Taking a promotion back: what counts is the checkpoint before it."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.commands.promotions import current, is_promoted, rolled_back, take_back
from roundsmith.errors import ConfigError
from roundsmith.lineage.history import History
from roundsmith.v1 import generator_admin_pb2, generator_admin_pb2_grpc
from tests.pipelines.lineage.made import MadeRun, made_run, next_round


def weights(run: MadeRun) -> str:
    return str(run.checkpoint.stats["weights_sha256"])


def test_each_rollback_goes_one_promotion_back_until_the_first_model(tmp_path: Path) -> None:
    first = made_run(tmp_path)
    second = next_round(first, tmp_path)
    third = next_round(second, tmp_path, promoted=False)
    history = History(first.context.store)
    assert current(history, tmp_path).weights_sha256 == weights(second)
    taken, now = take_back(history, tmp_path, "worse")
    assert (taken.round, taken.reason, now.round) == (2, "worse", 1)
    assert now.weights_sha256 == weights(first)
    taken, now = take_back(history, tmp_path, "")
    assert (taken.round, now.round) == (1, 0)
    assert now.weights_sha256 == first.model.stats["weights_sha256"]
    with pytest.raises(ConfigError, match="expected a promoted checkpoint to take back, saw none"):
        take_back(history, tmp_path, "")
    assert not is_promoted(third.decision, frozenset())
    assert is_promoted(second.decision, frozenset())
    assert not is_promoted(second.decision, rolled_back(tmp_path))


def test_the_command_says_what_counts_now_and_keeps_why(tmp_path: Path) -> None:
    first = made_run(tmp_path)
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
        rolled_back(tmp_path)


class Admin(generator_admin_pb2_grpc.GeneratorAdminServiceServicer):
    """Serves no model, and knows what it was asked to serve."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def ReloadWeights(
        self, request: generator_admin_pb2.ReloadWeightsRequest, context: grpc.ServicerContext
    ) -> generator_admin_pb2.ReloadWeightsResponse:
        self.asked.append((request.uri, request.sha256))
        return generator_admin_pb2.ReloadWeightsResponse(weights_sha256=request.sha256)


def test_with_admin_the_generator_there_serves_the_earlier_weights(tmp_path: Path) -> None:
    first = made_run(tmp_path)
    next_round(first, tmp_path)
    admin, server = Admin(), grpc.server(ThreadPoolExecutor(1))
    generator_admin_pb2_grpc.add_GeneratorAdminServiceServicer_to_server(admin, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        done = CliRunner().invoke(app, ["rollback", str(tmp_path), "--admin", address])
    finally:
        server.stop(None).wait()
    assert done.exit_code == 0, done.output
    uri = str((tmp_path / "work/checkpoints").resolve() / weights(first))
    assert admin.asked == [(uri, weights(first))]
    assert f"served now: {uri} at {address}" in done.output
