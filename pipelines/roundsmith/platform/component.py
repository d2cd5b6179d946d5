"""What a pipeline's task runs: one step of a round, with references in and a reference out."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from roundsmith.clients import Endpoints
from roundsmith.config import Settings
from roundsmith.errors import ConfigError
from roundsmith.platform.local import AttachedPlatform
from roundsmith.report.summary import Summary, from_json
from roundsmith.steps import run_step
from roundsmith.steps.config import RunConfig
from roundsmith.steps.context import Context
from roundsmith.store import Manifest, Store
from roundsmith.wrong_settings import explain

log = logging.getLogger(__name__)

SettingsT = TypeVar("SettingsT", bound=Settings)
LINE_EVERY_S = 5.0
"""How often a task logs the progress of its step at most."""


def run_component(
    step: str,
    split: str,
    references: Mapping[str, str],
    *,
    store: str,
    services: str,
    settings: str,
    round_number: int,
    work_folder: str,
) -> str:
    """Runs a step on references of earlier steps and returns the reference of what it made.

    `settings` is a RunConfig and `services` are Endpoints, both as JSON. A step that has finished
    before is found in the store and not run again, so that a task may be retried at any time.
    Raises ConfigError for JSON or a round that do not fit.
    """
    config = _read(RunConfig, "settings", settings)
    where = _read(Endpoints, "services", services)
    if not 1 <= round_number <= config.rounds:
        raise ConfigError(
            f"round_number: expected 1 to {config.rounds} (rounds in the settings), saw "
            f"{round_number}"
        )
    work = Path(work_folder).resolve()
    work.mkdir(parents=True, exist_ok=True)
    platform = AttachedPlatform(config, work, where)
    context = Context(Store(store), config, round_number, platform, LoggedProgress())

    async def play() -> str:
        try:
            return await run_step(context, step, split=split, **references)
        finally:
            await platform.close()

    return asyncio.run(play())


def begin(start: str, model: str, *, store: str) -> str:
    """The reference of the model that the round begins with: `start`, or where it is empty `model`.

    Raises ConfigError when the store has nothing of that name.
    """
    if start:
        _manifest(Store(store), "start", start)
    return start or model


def write_report(
    reference: str, store: str, metric: Callable[[str, float], None], path: str
) -> None:
    """Gives each number of a finished round to `metric`, and writes its report.html to `path`."""
    kept = Store(store)
    report = _manifest(kept, "report", reference)
    texts = [kept.get_blob(ref).decode() for ref in report.of_kind("blob")]
    for name, value in metrics(from_json(texts[0])).items():
        metric(name, value)
    Path(path).write_text(texts[1], "utf-8")


def metrics(summary: Summary) -> dict[str, float]:
    """What the Kubeflow UI compares between runs: pass@k before, after and of the control, by split
    and k, the p-value, the number of selected rows, and 1 for a promoted checkpoint.
    """
    result = summary.result
    found: dict[str, float] = {"promoted": float(result.promoted)}
    for split, by_k in result.pass_at_k.items():
        for k, measured in by_k.items():
            name = f"{split}_pass_at_{k}"
            found[f"{name}_before"] = measured.before
            found[f"{name}_after"] = measured.after
            found[f"{name}_p_value"] = measured.p_value
            if measured.control is not None:
                found[f"{name}_control"] = measured.control
    found["selected_rows"] = float(result.funnel["selected rows"])
    return found


class LoggedProgress:
    """Logs (step, done, total, note) every few seconds, and when a step is through."""

    def __init__(self) -> None:
        self._logged_at = 0.0

    def __call__(self, step: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if done == total or now - self._logged_at > LINE_EVERY_S:
            self._logged_at = now
            log.info("%s: %d/%d %s", step, done, total, note)


def _manifest(store: Store, name: str, reference: str) -> Manifest:
    step, _, key = reference.partition("/")
    if not key or (found := store.find(step, key)) is None:
        raise ConfigError(
            f"{name} {reference!r}: expected the reference of a finished step, such as "
            f"train/3f0c..., saw none in {store.url}"
        )
    return found


def _read(cls: type[SettingsT], name: str, text: str) -> SettingsT:
    try:
        return cls.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError(
            f"{name}: expected the JSON of {cls.__name__}: {explain(error, cls)}"
        ) from error
