"""`verify` says nothing of a run that is as it was, and names what is not."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from roundsmith.lineage.again import Judged, draw
from roundsmith.lineage.choices import check_choices
from roundsmith.lineage.decisions import check_decisions
from roundsmith.lineage.history import History
from roundsmith.lineage.integrity import Findings, check_evaluations, check_hashes, check_rows
from roundsmith.recipes.identities import sample_id
from roundsmith.steps.config import RECIPES
from roundsmith.store import (
    DROPPED,
    EVALS,
    EXAMPLES,
    GROUPS,
    TASKS,
    DroppedRow,
    EvalRecord,
    Manifest,
    ObjectRef,
    Store,
)
from roundsmith.types import Kind, Sample
from roundsmith.verdicts import Verdict
from tests.pipelines.lineage.made import MadeRun, made_run
from tests.pipelines.store.earlier import of_version_2


def checked(run: MadeRun) -> Findings:
    store, findings = Store(run.context.store.url), Findings()
    check_hashes(store, findings)
    if not findings.problems:
        history = History(store)
        check_rows(history, findings)
        check_evaluations(history, findings)
        check_choices(history, (RECIPES,), findings)
        check_decisions(history, findings)
    return findings


def problems(run: MadeRun) -> list[tuple[str, str]]:
    return [(problem.check, problem.seen) for problem in checked(run).problems]


def command(run: MadeRun, *options: str) -> "subprocess.CompletedProcess[str]":
    folder = Path(run.context.store.url).parent
    arguments = [sys.executable, "-m", "roundsmith.cli", "verify", str(folder), *options]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)


def test_an_untouched_run_is_right_in_everything_that_was_looked_at(tmp_path: Path) -> None:
    found = checked(made_run(tmp_path, None))
    assert found.problems == []
    wanted = {"manifests", "objects", "model files", "model folders", "samples", "rows"}
    wanted |= {"parents of rows", "evaluation samples", "selections", "decisions"}
    assert wanted == set(found.checked)
    assert found.checked["evaluation samples"] == 2 * 2  # before training and after
    assert found.checked["model folders"] == 2
    assert found.checked["samples"] == 12 * 2  # before scoring and after


def test_a_flipped_byte_is_found_in_rows_and_in_weights(tmp_path: Path) -> None:
    run = made_run(tmp_path, None)
    store = run.context.store
    weights = max(
        (file for _, file in store.files(run.checkpoint.objects[0])), key=lambda file: file.bytes
    )
    for ref in (run.rows.objects[0], weights):
        path = Path(store.url) / "objects" / ref.hash
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    found = problems(run)
    assert {check for check, _ in found} == {"objects", "model files"}
    assert all("expected bytes with sha256" in seen for _, seen in found)


def test_a_changed_manifest_is_found(tmp_path: Path) -> None:
    run = made_run(tmp_path, None)
    path = Path(run.context.store.url) / f"manifests/{run.decision.reference}.json"
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(fields | {"stats": {"promoted": False}}))
    ((check, seen),) = problems(run)
    assert check == "manifests"
    assert "expected a whole manifest" in seen


def swapped(run: MadeRun, manifest: Manifest, objects: list[ObjectRef]) -> None:
    """Puts other objects under the name of finished work, with a hash that fits."""
    store = run.context.store
    store.discard(manifest)
    store.commit(replace(manifest, objects=tuple(objects)))


def test_a_row_that_nothing_chose_is_found(tmp_path: Path) -> None:
    run = made_run(tmp_path, None)
    store = run.context.store
    rows = list(store.read_all(EXAMPLES, run.rows))
    forged = replace(rows[-1], completion=rows[-1].completion + "\n    # and more")
    ref = store.write_rows(EXAMPLES, [*rows, forged])
    swapped(run, run.rows, [ref, *run.rows.objects[1:]])
    assert problems(run) == [
        ("rows", "its id is not its hash"),
        ("selections", "choosing again gives other rows"),
    ]


NEAR = {"ngram": 4, "similarity": 0}
"""Lab tasks share words by design: with so few of them, some rows are too near."""


def test_rows_that_were_dropped_for_a_held_out_task_are_no_difference(tmp_path: Path) -> None:
    run = made_run(tmp_path, None, contamination=NEAR)
    dropped = list(run.context.store.read_all(DROPPED, run.rows))
    assert 0 < len(dropped) < len(dropped) + run.rows.stats["rows"]
    assert problems(run) == []


def test_a_row_that_was_dropped_without_a_held_out_task_near_it_is_found(tmp_path: Path) -> None:
    run = made_run(tmp_path, None, contamination=NEAR)
    store = run.context.store
    kept, *others = store.read_all(EXAMPLES, run.rows)
    why = DroppedRow(kept.example_id, kept.provenance.task_id, "near-duplicate", "none", "1.00")
    examples = store.write_rows(EXAMPLES, others)
    dropped = store.write_rows(DROPPED, [*store.read_all(DROPPED, run.rows), why])
    swapped(run, run.rows, [examples, run.rows.objects[1], dropped])
    ((check, seen),) = problems(run)
    assert check == "selections"
    assert "other rows are dropped" in seen


def test_rows_dropped_for_tasks_that_are_in_no_store_are_chosen_again_with_the_others(
    tmp_path: Path,
) -> None:
    run = made_run(tmp_path, None, contamination=NEAR)
    store = run.context.store
    config = {**run.rows.config, "keep": ["0" * 64]}
    before = replace(run.rows, config=config)
    swapped(run, before, list(before.objects))
    assert problems(run) == []
    empty = store.write_rows(DROPPED, ())
    swapped(run, before, [*before.objects[:2], empty])
    assert problems(run) == [("selections", "choosing again gives other rows")]


def test_a_row_of_a_sample_that_is_nowhere_is_found(tmp_path: Path) -> None:
    run = made_run(tmp_path, None)
    store = run.context.store
    (ref,) = run.scored.objects
    lost = [replace(group, samples=group.samples[1:]) for group in store.read_rows(GROUPS, ref)]
    left = store.write_rows(GROUPS, lost)
    swapped(run, run.sampled, [left])
    swapped(run, run.scored, [left])
    seen = {problem.check for problem in checked(run).problems}
    assert "parents of rows" in seen or "selections" in seen


def test_an_unresolved_verdict_among_the_samples_is_found(tmp_path: Path) -> None:
    run = made_run(tmp_path, None)
    group = run.groups[0]
    broken = (replace(group.outcomes[0], verdict=Verdict.INFRA_ERROR), *group.outcomes[1:])
    ref = run.context.store.write_rows(GROUPS, [replace(group, outcomes=broken)])
    swapped(run, run.sampled, [ref])
    assert ("samples", "it rests on a verdict that was never resolved") in problems(run)


@pytest.mark.parametrize("lie", [{"seed": 1}, {"weights_sha256": "f" * 64}])
def test_an_evaluation_whose_samples_were_drawn_otherwise_is_found(
    tmp_path: Path, lie: dict[str, Any]
) -> None:
    run = made_run(tmp_path, None)
    first, *others = run.context.store.read_all(EVALS, run.before)
    ref = run.context.store.write_rows(EVALS, [replace(first, **lie), *others])
    swapped(run, run.before, [ref])
    ((check, seen),) = problems(run)
    assert check == "evaluation samples"
    assert seen.startswith(f"expected {next(iter(lie)).removesuffix('_sha256')}")
    assert seen.endswith(f"saw {next(iter(lie.values()))}")


def test_rows_of_an_evaluation_that_tell_no_seed_are_no_difference(tmp_path: Path) -> None:
    run = made_run(tmp_path, None)
    store, before = run.context.store, list(run.context.store.read_all(EVALS, run.before))
    early = [replace(row, seed=None, weights_sha256="", tier="", image="") for row in before]
    swapped(run, run.before, [store.write_rows(of_version_2(), early)])
    assert list(store.read_all(EVALS, store.manifest(*run.before.reference.split("/")))) == early
    found = checked(run)
    assert found.problems == []
    assert found.checked["evaluation samples"] == 2, "those after training"


def test_a_promotion_that_the_evaluations_do_not_bear_out_is_found(tmp_path: Path) -> None:
    run = made_run(tmp_path, None)
    assert not run.decision.stats["promoted"]
    store, told = run.context.store, run.decision.stats
    store.discard(run.decision)
    store.commit(replace(run.decision, stats={**told, "promoted": True}))
    assert problems(run) == [("decisions", "promoted was True, is False")]


def test_a_decision_without_what_it_was_decided_by_is_found(tmp_path: Path) -> None:
    run = made_run(tmp_path, None)
    store = run.context.store
    store.discard(run.decision)
    store.commit(replace(run.decision, parents=run.decision.parents[:2]))
    ((check, seen),) = problems(run)
    assert check == "decisions"
    assert "expected evaluations, rows and settings to decide by" in seen


def test_a_decision_that_rests_on_work_made_anew_since_is_left_out(tmp_path: Path) -> None:
    run = made_run(tmp_path, None)
    swapped(run, run.sampled, [run.context.store.write_rows(GROUPS, run.groups)])
    found = checked(run)
    assert found.problems == []
    assert found.checked["decisions"] == 0


def interrupted(run: MadeRun) -> EvalRecord:
    """A record of a shard whose evaluation was never finished."""
    store = run.context.store
    record = replace(next(store.read_all(EVALS, run.after)), sample_id="of a shard")
    ref = store.write_rows(EVALS, [record])
    parents, config = (run.checkpoint.hash,), run.after.config
    store.commit(Manifest("evaluate-shard", "0" * 64, (ref,), parents, config))
    return record


def drawn(run: MadeRun, name: str) -> list[Judged]:
    """A program of a run, as often as it is run again."""
    history = History(Store(run.context.store.url))
    return [judged for judged in draw(history, 1000, Random(0)) if judged.name == name]


def test_a_program_of_an_interrupted_evaluation_is_run_on_its_task(tmp_path: Path) -> None:
    run = made_run(tmp_path, None)
    record = interrupted(run)
    (judged,) = drawn(run, "of a shard")
    assert judged.task.task_id == record.task_id
    assert tuple(test_id for test_id, _ in judged.verdicts) == record.tests


def test_of_an_interrupted_evaluation_whose_tasks_have_changed_nothing_is_said(
    tmp_path: Path,
) -> None:
    run = made_run(tmp_path, None)
    store, record = run.context.store, interrupted(run)
    (task,) = (t for t in store.read_all(TASKS, run.tasks) if t.task_id == record.task_id)
    other = store.write_rows(TASKS, [replace(task, tests=task.tests[:1])])
    store.commit(Manifest("kept", "0" * 64, (other,)))
    assert drawn(run, "of a shard") == []
    assert drawn(run, next(store.read_all(EVALS, run.after)).sample_id)


def self_tested(run: MadeRun, verdict: Verdict) -> tuple[Sample, Sample]:
    """The first code and a test that the model wrote, on which it gets this verdict and fails."""
    group = run.groups[0]
    code = group.samples[0]
    wrong = f"assert not callable({group.task.entry_point})"
    made = replace(code, sample_id="", kind=Kind.TEST, text=wrong, completion=wrong)
    made = replace(made, sample_id=sample_id(made))
    on_it = replace(group.outcomes[0], test_id=made.sample_id, verdict=verdict)
    outcomes = (*group.outcomes, on_it)
    known = replace(group, samples=(*group.samples, made), outcomes=outcomes)
    swapped(run, run.sampled, [run.context.store.write_rows(GROUPS, [known])])
    return code, made


def test_a_program_is_run_again_on_the_tests_that_the_model_wrote(tmp_path: Path) -> None:
    run = made_run(tmp_path, None)
    code, made = self_tested(run, Verdict.FAIL)
    own, on_made = drawn(run, code.sample_id)
    assert own.tests == tuple(test.test_id for test in run.groups[0].task.tests)
    assert on_made.verdicts == ((made.sample_id, Verdict.FAIL),)
    assert [test.test_id for test in on_made.task.tests] == [made.sample_id]


def test_a_flaky_verdict_is_not_asked_for_again(tmp_path: Path) -> None:
    run = made_run(tmp_path, None)
    code, _ = self_tested(run, Verdict.FLAKY)
    (own,) = drawn(run, code.sample_id)
    assert own.task == run.groups[0].task


@pytest.mark.slow
def test_a_false_label_on_a_test_that_the_model_wrote_is_found(tmp_path: Path) -> None:
    run = made_run(tmp_path, None)
    code, made = self_tested(run, Verdict.PASS)
    done = command(run, "--programs", "100")
    assert done.returncode == 1, done.stderr[-2000:]
    found = " ".join(done.stdout.split())
    task = run.groups[0].task.task_id
    assert f"{code.sample_id} on {task} {made.sample_id}: was PASS, is FAIL" in found


@pytest.mark.slow
def test_programs_run_again_get_the_verdicts_that_they_got_and_a_false_one_is_found(
    tmp_path: Path,
) -> None:
    run = made_run(tmp_path, None)
    done = command(run, "--json", "--programs", "100")
    assert done.returncode == 0, done.stderr[-2000:]
    checked = json.loads(done.stdout)["checked"]
    assert checked["solved"] == 4
    assert checked["verdicts"] > 3 * 3
    lied = replace(run.groups[0].outcomes[-1], verdict=Verdict.PASS)
    group = replace(run.groups[0], outcomes=(*run.groups[0].outcomes[:-1], lied))
    swapped(run, run.sampled, [run.context.store.write_rows(GROUPS, [group])])
    done = command(run, "--programs", "100")
    assert done.returncode == 1
    assert "was PASS, is FAIL" in done.stdout
