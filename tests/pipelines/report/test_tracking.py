"""Trackers hear of a round by their own local backends, once, and never end a run."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from roundsmith.installing import how_to_install
from roundsmith.report.dotted import flat
from roundsmith.report.tracking import TrackingConfig, metrics_of, tell
from tests.pipelines.report.rounds import SUMMARY

LOSS = ((1, 2.5), (2, 1.25))
SETTINGS = {"seed": 3, "evaluation": {"samples": 4}}


def needs(package: str) -> None:
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: {how_to_install('track')}")


def told(out: Path, **config: object) -> Path:
    """The folder of a run whose round was told to these trackers."""
    folder = out / f"round-{SUMMARY.result.round}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.html").write_text("<html></html>")
    tell(TrackingConfig.model_validate(config), SETTINGS, out, SUMMARY, LOSS)
    return out


def test_settings_are_flat_and_numbers_have_names() -> None:
    assert flat(SETTINGS) == {"seed": 3, "evaluation.samples": 4}
    numbers = metrics_of(SUMMARY)
    measured = SUMMARY.result.pass_at_k["gate"]["1"]
    assert numbers["gate/pass_at_1/after"] == measured.after
    assert numbers["executions"] == SUMMARY.result.executions


@pytest.mark.filterwarnings("default")  # its own
def test_mlflow_keeps_settings_numbers_loss_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow import MlflowClient

    uri = f"file:{tmp_path / 'mlruns'}"
    out = told(tmp_path / "run", mlflow=uri, project="p")
    told(out, mlflow=uri, project="p")
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("p")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params == {"seed": "3", "evaluation.samples": "4"}
    assert run.data.metrics.items() >= metrics_of(SUMMARY).items()
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == list(LOSS)
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["report.html"]


@pytest.mark.filterwarnings("default")
def test_wandb_writes_a_run_that_can_be_synced_later(tmp_path: Path) -> None:
    needs("wandb")
    out = told(tmp_path / "run", wandb="offline")
    (run,) = (out / "wandb").glob("offline-run-*")
    (written,) = run.glob("run-*.wandb")
    content = written.read_bytes()
    assert b"gate/pass_at_1/after" in content
    assert (run / "files" / "report.html").exists()


@pytest.mark.filterwarnings("default")
def test_tensorboard_reads_the_loss_back(tmp_path: Path) -> None:
    needs("tensorboard")
    from tensorboard.backend.event_processing import (  # type: ignore[import-untyped]  # no types
        event_accumulator,
    )

    out = told(tmp_path / "run", tensorboard=True)
    (folder,) = (out / "tensorboard").iterdir()
    events = event_accumulator.EventAccumulator(str(folder)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == list(LOSS)
    assert {"gate/pass_at_1/after", "promoted"} <= set(events.Tags()["scalars"])


def test_a_tracker_that_fails_is_a_warning_and_is_told_next_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    needs("tensorboard")
    out = tmp_path / "run"
    out.mkdir()
    (out / "tensorboard").write_text("a file where the folder should be")
    told(out, tensorboard=True)
    assert "tensorboard was not told of round" in caplog.text
    (out / "tensorboard").unlink()
    told(out, tensorboard=True)
    assert (out / "tensorboard").is_dir()
