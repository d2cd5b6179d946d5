"""A whole round on the lab: what it makes, and that it is not made twice."""

import re
from pathlib import Path

import pytest

from roundsmith.hashing import weights_sha256
from roundsmith.lineage.history import History
from roundsmith.lineage.integrity import Findings, check_evaluations
from roundsmith.report.summary import from_json
from roundsmith.store import EVALS, GROUPS, RESULTS, Store, read_file
from tests.pipelines.round.lab_round import play, selected, summary

pytestmark = pytest.mark.slow


def manifests(out: Path) -> dict[str, str]:
    """What the store of a run has finished, with the bytes of each manifest."""
    folder = out / "store/manifests"
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*.json")}


def test_a_round_counts_what_it_did_and_leaves_what_it_promises(undisturbed: Path) -> None:
    found = from_json((undisturbed / "round-1/summary.json").read_text()).result
    assert found.funnel["tasks"] == 8
    assert found.funnel["codes"] == 8 * 2 * 3
    assert sum(found.verdicts.values()) >= found.funnel["codes"]
    assert found.funnel["training rows with gold"] == 8 + found.funnel["selected rows"]
    assert found.funnel["selected rows"] > 0
    assert set(found.pass_at_k) == {"gate", "final"}
    assert found.pass_at_k["final"]["1"].control is not None
    assert found.pass_at_k["gate"]["1"].num_tasks == 6
    checkpoint = undisturbed / "round-1/checkpoint"
    assert weights_sha256(checkpoint) == found.checkpoint_sha256
    assert found.checkpoint_sha256 != found.weights_sha256
    assert "<html" in (undisturbed / "round-1/report.html").read_text()


def test_the_results_of_every_task_are_a_file_of_the_round(undisturbed: Path) -> None:
    found = from_json((undisturbed / "round-1/summary.json").read_text()).result
    rows = list(read_file(RESULTS, undisturbed / "round-1/data/results.parquet"))
    whose = {(str(row.split), row.of) for row in rows}
    finals = {("final", "before"), ("final", "after"), ("final", "control")}
    assert whose == {("gate", "before"), ("gate", "after"), *finals}
    for split, of in (("gate", "before"), ("gate", "after"), ("final", "after")):
        mine = [row for row in rows if (row.split, row.of) == (split, of)]
        rate = sum(row.solved / row.samples for row in mine) / len(mine)
        assert rate == pytest.approx(getattr(found.pass_at_k[split]["1"], of))


def test_every_selected_row_names_a_sample_that_passed_all_tests(undisturbed: Path) -> None:
    store = Store(str(undisturbed / "store"))
    groups = [g for m in store.manifests("score") for g in store.read_all(GROUPS, m)]
    passed = {code.sample_id for group in groups for code in group.passing()}
    parents = [p for row in selected(undisturbed) for p in row.provenance.parents]
    assert parents
    assert set(parents) <= passed


def test_every_sample_of_an_evaluation_says_by_what_seed_weights_and_sandbox_it_came(
    undisturbed: Path,
) -> None:
    history, findings = History(Store(str(undisturbed / "store"))), Findings()
    check_evaluations(history, findings)
    assert findings.problems == []
    done = history.of("evaluate")
    records = [record for m in done for record in history.store.read_all(EVALS, m)]
    assert findings.checked["evaluation samples"] >= len(records) > 0
    models = {m.stats["weights_sha256"] for m in history.of("model", "train")}
    assert {record.weights_sha256 for record in records} == models
    by_task: dict[tuple[str, str], set[int | None]] = {}
    for record in records:
        by_task.setdefault((record.split, record.task_id), set()).add(record.seed)
    assert all(len(seeds) == 1 for seeds in by_task.values()), "models are compared on one draw"
    assert len({*map(tuple, by_task.values())}) == len(by_task)
    groups = [g for m in history.of("score") for g in history.store.read_all(GROUPS, m)]
    outcomes = [outcome for group in groups for outcome in group.outcomes]
    assert {(r.tier, r.image) for r in records} == {(o.tier, o.image) for o in outcomes}


def test_a_finished_run_makes_nothing_anew_and_starts_no_service(undisturbed: Path) -> None:
    before, result = manifests(undisturbed), summary(undisturbed)
    logs = undisturbed / "work/services/logs"
    times = {path: path.stat().st_mtime_ns for path in logs.iterdir()}
    play(undisturbed)
    assert manifests(undisturbed) == before
    assert summary(undisturbed) == result
    assert {path: path.stat().st_mtime_ns for path in logs.iterdir()} == times


def test_another_folder_gets_the_same_result_in_shards_of_any_size_and_another_seed_does_not(
    undisturbed: Path, undisturbed_in_small_shards: Path, tmp_path: Path
) -> None:
    again = undisturbed_in_small_shards
    shards = [
        len(list(Store(str(out / "store")).manifests("sample-shard")))
        for out in (undisturbed, again)
    ]
    assert shards[0] < shards[1]
    assert summary(again)["result"] == summary(undisturbed)["result"]
    assert selected(again) == selected(undisturbed)
    play(tmp_path / "other", "--seed", "4", "--no-control", "--eval-limit", "1")
    assert selected(tmp_path / "other") != selected(undisturbed)


def test_a_dry_run_names_what_a_setting_changes_and_changes_nothing(undisturbed: Path) -> None:
    def todo(*options: str) -> list[str]:
        """The steps that are not found, with what is said of them."""
        lines = play(undisturbed, *options, "--dry-run").splitlines()
        return [line for line in lines if line.strip().startswith("1 ") and "found" not in line]

    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")}
    assert todo() == []
    changed = todo("--set", "training.learning_rate=1e-3")
    told = [line.split("1 ", 1)[1].split(" to make ") for line in changed]
    assert [(step.strip(), " ".join(why.split()[:2])) for step, why in told] == [
        ("train", "changed: stage.learning_rate"),
        ("evaluate gate (after)", "follows train"),
        ("decide", "follows evaluate"),
        ("evaluate final (after)", "follows train"),
        ("train (control)", "follows train"),
        ("evaluate final (control)", "follows train"),
        ("report", "follows evaluate"),
    ]
    assert all("not known" not in line for line in changed), "the same work was done before"
    assert "a selected row" not in play(undisturbed, "--set", "tail=0", "--dry-run")
    again = play(undisturbed, "--set", "iterations=3", "--dry-run")
    assert re.search(r"^a selected row: [\d.]+ m?s at the least$", again, re.MULTILINE)
    iterations = todo("--set", "iterations=3")
    assert len(iterations) == 11
    assert "changed: iterations" in iterations[0]
    assert {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*")} == before


def test_the_ledger_adds_up_and_prices_what_a_table_prices(
    undisturbed: Path, tmp_path: Path
) -> None:
    cost = from_json((undisturbed / "round-1/summary.json").read_text()).cost
    result = from_json((undisturbed / "round-1/summary.json").read_text()).result
    assert {name: step.seconds for name, step in cost.steps.items()} == cost.seconds
    tokens = {name: sum(s.tokens[name] for s in cost.steps.values()) for name in ("scored",)}
    assert tokens["scored"] == result.tokens["scored"]
    assert sum(step.executions for step in cost.steps.values()) >= result.executions
    assert all(step.cpu_s is not None for step in cost.steps.values())
    assert (cost.steps["checkpoint"].cpu_s or 0.0) > 1.0
    assert cost.steps["checkpoint"].bytes > 2**20
    assert cost.price is None
    assert cost.per_selected_row is not None
    rows = ("groups", "scored", "rows")
    expected = sum(cost.seconds[name] for name in rows) / result.funnel["selected rows"]
    assert cost.per_selected_row.seconds == pytest.approx(expected, abs=1e-3)
