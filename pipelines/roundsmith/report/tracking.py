"""Rounds told to MLflow, Weights & Biases or TensorBoard, beside the report: optional, and never
what a run depends on. A tracker that fails is a warning.

Each needs its package: the extra `track`.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from roundsmith.config import Settings
from roundsmith.errors import ConfigError, PlatformError
from roundsmith.installing import how_to_install
from roundsmith.report.dotted import flat
from roundsmith.report.summary import Summary

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)
TOLD = "tracked.json"
"""In the run's folder: which checkpoint each tracker was told of, so that a run that is gone on
with tells nothing twice.
"""


class TrackingConfig(Settings):
    """Which trackers hear of a round when it is over."""

    mlflow: str | None = Field(None, min_length=1)
    """The URI of a tracking server, or of a database such as `sqlite:///mlflow.db`."""
    wandb: Literal["offline", "online"] | None = None
    """`offline` writes into the run's folder, for `wandb sync`; `online` needs your login."""
    tensorboard: bool = False
    """Event files in `tensorboard/` of the run's folder."""
    project: str = Field("roundsmith", min_length=1)
    """MLflow's experiment, W&B's project."""


@dataclass(frozen=True, slots=True)
class ToldRound:
    """What a tracker hears: a name, settings, numbers by name, the loss by step, and the report."""

    name: str
    number: int
    settings: Mapping[str, str]
    metrics: Mapping[str, float]
    loss: Sequence[tuple[int, float]]
    report: Path


def tell(
    config: TrackingConfig,
    settings: Mapping[str, Any],
    out: Path,
    summary: Summary,
    loss: Sequence[tuple[int, float]],
) -> None:
    """Tell every tracker of a finished round in the run's folder, once."""
    trackers: dict[str, tuple[bool, Callable[[TrackingConfig, Path, ToldRound], None]]] = {
        "mlflow": (config.mlflow is not None, _mlflow),
        "wandb": (config.wandb is not None, _wandb),
        "tensorboard": (config.tensorboard, _tensorboard),
    }
    told = _read(out / TOLD)
    result = summary.result
    made = ToldRound(
        name=f"{out.name}/round-{result.round}",
        number=result.round,
        settings={name: json.dumps(value) for name, value in flat(settings).items()},
        metrics=metrics_of(summary),
        loss=loss,
        report=out / f"round-{result.round}" / "report.html",
    )
    for name, (wanted, tracker) in trackers.items():
        place = f"{name}/{result.round}"
        if not wanted or told.get(place) == result.checkpoint_sha256:
            continue
        try:
            tracker(config, out, made)
        except PlatformError as error:
            log.warning("%s was not told of round %d: %s", name, result.round, error)
            continue
        told[place] = str(result.checkpoint_sha256)
        (out / TOLD).write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")


def check_trackers(config: TrackingConfig) -> None:
    """Raises ConfigError where the package of a tracker that is asked for is not installed."""
    wanted = {
        "mlflow": config.mlflow is not None,
        "wandb": config.wandb is not None,
        "tensorboard": config.tensorboard,
    }
    lacking = [name for name, asked in wanted.items() if asked and find_spec(name) is None]
    if lacking:
        raise ConfigError(
            f"tracking: expected the package {lacking[0]}, saw none: take it out of "
            f"[tracking], or install it: {how_to_install('track')}"
        )


@contextmanager
def _told_as_platform_error(*kinds: type[Exception]) -> Iterator[None]:
    caught: tuple[type[Exception], ...] = (OSError, *kinds)
    try:
        yield
    except caught as error:
        raise PlatformError(str(error)) from error


def metrics_of(summary: Summary) -> dict[str, float]:
    """The numbers of a round by name: pass@k by split, the funnel, tokens, and what it took."""
    result = summary.result
    found = {"promoted": float(result.promoted), "executions": float(result.executions)}
    for split, by_k in result.pass_at_k.items():
        for k, measured in by_k.items():
            values = {"before": measured.before, "after": measured.after}
            if measured.control is not None:
                values["control"] = measured.control
            found |= {f"{split}/pass_at_{k}/{when}": value for when, value in values.items()}
    for group, numbers in (("funnel", result.funnel), ("tokens", result.tokens)):
        found |= {f"{group}/{name}": float(value) for name, value in numbers.items()}
    return found | {"seconds": sum(summary.cost.seconds.values())}


def _mlflow(config: TrackingConfig, out: Path, made: ToldRound) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    with _told_as_platform_error(MlflowException):
        _mlflow_run(MlflowClient(tracking_uri=config.mlflow), config, made)


def _mlflow_run(client: "MlflowClient", config: TrackingConfig, made: ToldRound) -> None:
    known = client.get_experiment_by_name(config.project)
    experiment = client.create_experiment(config.project) if known is None else known.experiment_id
    run = client.create_run(experiment, run_name=made.name).info.run_id
    for name, value in made.settings.items():
        client.log_param(run, name, value[:500])
    for name, number in made.metrics.items():
        client.log_metric(run, name, number, step=made.number)
    for step, loss in made.loss:
        client.log_metric(run, "loss", loss, step=step)
    client.log_artifact(run, str(made.report))
    client.set_terminated(run)


def _wandb(config: TrackingConfig, out: Path, made: ToldRound) -> None:
    import wandb

    with (
        _told_as_platform_error(wandb.errors.Error),
        wandb.init(
            project=config.project,
            name=made.name,
            dir=str(out),
            mode=config.wandb,
            config=dict(made.settings),
            settings=wandb.Settings(silent=True, console="off"),
        ) as run,
    ):
        for step, value in made.loss:
            run.log({"loss": value}, step=step)
        run.summary.update(dict(made.metrics))
        run.save(str(made.report), base_path=str(made.report.parent), policy="now")
    wandb.teardown()  # its service still writes; when it has ended, all is written


def _tensorboard(config: TrackingConfig, out: Path, made: ToldRound) -> None:
    from torch.utils.tensorboard import SummaryWriter

    folder = out / "tensorboard" / f"round-{made.number}"
    with _told_as_platform_error(), SummaryWriter(str(folder)) as writer:
        for name, number in made.metrics.items():
            writer.add_scalar(name, number, made.number)
        for step, value in made.loss:
            writer.add_scalar("loss", value, step)
        writer.add_text("settings", json.dumps(dict(made.settings), indent=1))


def _read(path: Path) -> dict[str, str]:
    told: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return told
