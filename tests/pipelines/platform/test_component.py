"""What a task of the pipeline refuses, finds again and reports."""

from pathlib import Path

import pytest

from roundsmith.clients import Endpoints
from roundsmith.errors import ConfigError
from roundsmith.platform.component import begin, run_component
from roundsmith.presets import run_config
from roundsmith.store import TASKS, Store

NOWHERE = Endpoints(**dict.fromkeys(Endpoints.model_fields.keys() - {"tls"}, "127.0.0.1:1"))
CONFIG = run_config("lab", None, {"recipe": "gift", "limit": 3, "eval_limit": 2}, [])


def load_tasks(folder: Path, **changes: object) -> str:
    """Runs the step that needs no service."""
    arguments = {
        "store": str(folder / "store"),
        "services": NOWHERE.model_dump_json(),
        "settings": CONFIG.model_dump_json(),
        "round_number": 1,
        "work_folder": str(folder / "work"),
    }
    return run_component("load_tasks", "", {}, **{**arguments, **changes})  # type: ignore[arg-type]  # one wrong on purpose


def test_a_step_keeps_its_work_and_is_found_again(tmp_path: Path) -> None:
    reference = load_tasks(tmp_path)
    store = Store(str(tmp_path / "store"))
    (manifest,) = store.manifests("tasks")
    assert reference == f"tasks/{manifest.key}"
    assert len(list(store.read_all(TASKS, manifest))) == 3 + 2 + 2
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("objects/*")}
    assert load_tasks(tmp_path) == reference
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("objects/*")} == written


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"round_number": 2}, "round_number: expected 1 to 1 .* saw 2"),
        ({"settings": "{"}, "settings: expected the JSON of RunConfig"),
        ({"settings": '{"recipe": "gift", "colour": 1}'}, "colour: no such setting"),
        ({"services": "{}"}, "generator: Field required"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, object], seen: str
) -> None:
    with pytest.raises(ConfigError, match=seen):
        load_tasks(tmp_path, **changes)


def test_a_round_begins_with_the_model_unless_a_checkpoint_is_named(tmp_path: Path) -> None:
    reference = load_tasks(tmp_path)
    store = str(tmp_path / "store")
    assert begin("", "model/abc", store=store) == "model/abc"
    assert begin(reference, "model/abc", store=store) == reference


@pytest.mark.parametrize("start", ["train/0000", "train", "/"])
def test_a_checkpoint_that_is_not_there_is_refused(tmp_path: Path, start: str) -> None:
    with pytest.raises(ConfigError, match="expected the reference of a finished step"):
        begin(start, "model/abc", store=str(tmp_path))
