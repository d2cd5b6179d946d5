"""A plan says of rounds that were played what the run itself would say of them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from roundsmith.commands.planned import planned
from roundsmith.commands.promotions import FILE, Rollback
from roundsmith.platform.local import LocalPlatform
from roundsmith.presets import run_config
from roundsmith.steps.config import RunConfig
from roundsmith.steps.plan import PlannedStep
from roundsmith.steps.rules import KeepConfig, StopConfig
from roundsmith.store import Store
from tests.pipelines.steps.fabricated import play
from tests.pipelines.steps.test_inputs import task_file


def config(**settings: Any) -> RunConfig:
    given = {"recipe": "gift", "limit": 4, "eval_limit": 12, "rounds": 2}
    plain = {name: value for name, value in settings.items() if name in ("limit", "rounds")}
    others = {name: value for name, value in settings.items() if name not in plain}
    return run_config("lab", None, given | plain, []).model_copy(update=others)


def plan(folder: Path, settings: RunConfig) -> tuple[list[PlannedStep], list[str]]:
    """The steps that a run would go through, and what is said of them."""
    said: list[str] = []
    platform = LocalPlatform(settings, folder / "work")
    store = str(folder / "store")
    return planned(settings, store, platform, str(folder), said.append), said


def todo(folder: Path, settings: RunConfig) -> dict[str, str]:
    """What is not found, with the reason."""
    return {step.label: step.why for step in plan(folder, settings)[0] if step.todo}


def test_a_run_that_ended_early_is_not_planned_beyond_its_end(tmp_path: Path) -> None:
    stop = StopConfig(rounds_without_gain=1)
    ended = config(stop=stop, alpha=1e-9)
    assert len(play(tmp_path, ended)) == 1
    steps, said = plan(tmp_path, ended)
    assert [step for step in steps if step.todo] == []
    assert {step.round for step in steps} == {1}
    assert any(step.label == "evaluate final (control)" for step in steps)
    assert said == ["round 1 is the last: no gain in 1 rounds"]


def test_a_plan_goes_on_from_what_counts_after_a_rollback(tmp_path: Path) -> None:
    (first,) = play(tmp_path, config(), most=1)
    store = Store(str(tmp_path / "store"))
    (step, key) = first.checkpoint.split("/")
    weights = store.manifest(step, key).stats["weights_sha256"]
    assert store.manifest(*first.decision.split("/")).stats["promoted"]
    taken = Rollback(first.decision, 1, weights, "worse", "")
    (tmp_path / FILE).write_text(json.dumps({"rollbacks": [asdict(taken)]}))
    (_, second) = play(tmp_path, config())
    assert second.model == first.model
    assert todo(tmp_path, config()) == {}
    (tmp_path / FILE).unlink()
    assert "sample" in todo(tmp_path, config())


def test_what_the_gate_has_done_on_files_to_keep_is_planned_and_reckoned(tmp_path: Path) -> None:
    play(tmp_path, config(rounds=1))
    file = task_file(tmp_path, {"train": 10, "gate": 30})
    kept = config(rounds=1, keep=(KeepConfig(tasks=file),))
    steps = {step.label: step for step in plan(tmp_path, kept)[0]}
    before, after = (steps[f"evaluate gate ({when}, {file})"] for when in ("before", "after"))
    assert (before.why, after.why) == ("not made yet", "follows train")
    assert before.spent is not None
    play(tmp_path, kept)
    assert todo(tmp_path, kept) == {}


def test_work_on_other_tasks_is_told_with_what_is_other(tmp_path: Path) -> None:
    play(tmp_path, config(rounds=1))
    found = todo(tmp_path, config(rounds=1, limit=3))
    assert found["load_tasks"] == "changed: limits.train"
    assert found["sample"] == "other tasks than before"
    assert found["score"] == "follows sample"


def test_another_k_is_counted_from_the_same_samples(tmp_path: Path) -> None:
    first = config(rounds=1)
    (refs,) = play(tmp_path, first)
    more = first.evaluation.model_copy(update={"ks": (1, 2, 4)})
    counted = config(rounds=1, evaluation=more)
    assert first.evaluation.samples >= 4
    assert todo(tmp_path, counted) == {"report": "changed: ks"}
    (again,) = play(tmp_path, counted)
    assert again.gate_after == refs.gate_after
    assert again.report != refs.report


def test_more_samples_are_drawn_anew(tmp_path: Path) -> None:
    first = config(rounds=1)
    play(tmp_path, first)
    more = first.evaluation.model_copy(update={"samples": 5})
    found = todo(tmp_path, config(rounds=1, evaluation=more))
    assert found["evaluate gate (before)"] == "changed: evaluation.samples"


class Elsewhere(LocalPlatform):
    """A machine where programs are run by another interpreter."""

    @property
    def judge(self) -> str:
        """No image of ours."""
        return "python-9"


def test_what_another_interpreter_would_judge_is_judged_anew(tmp_path: Path) -> None:
    settings = config(rounds=1)
    play(tmp_path, settings)
    store, other = str(tmp_path / "store"), Elsewhere(settings, tmp_path / "work")
    found = {step.label: step.why for step in planned(settings, store, other, str(tmp_path))}
    for label in ("evaluate gate (before)", "sample", "evaluate final (before)"):
        assert found[label] == "changed: judge"
