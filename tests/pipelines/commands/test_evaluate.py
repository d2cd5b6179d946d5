"""`roundsmith eval` gives sampled and greedy numbers, strict ones where prompts show tests, and the
results of every task.
"""

import json
from pathlib import Path

import pytest
from rich.console import Console

from roundsmith.commands.evaluate import RESULTS_FILE, evaluate_model
from roundsmith.store import EVALS, RESULTS, Store, read_file

pytestmark = pytest.mark.slow
ROW = {
    "description": "add all the numbers of the list values",
    "signature": "def total(values: list[int]) -> int",
    "tests": ["assert total([1, 2]) == 3", "assert total([4, 5]) == 9"],
    "example": ">>> total([1, 2])\n3",
    "split": "gate",
}


def test_numbers_are_sampled_greedy_and_strict_and_results_are_of_each_task(
    tmp_path: Path,
) -> None:
    tasks = tmp_path / "tasks.jsonl"
    all_shown = {**ROW, "id": "shown", "tests": ROW["tests"][:1]}
    tasks.write_text("".join(json.dumps(row) + "\n" for row in ({**ROW, "id": "some"}, all_shown)))
    how = {"samples": 2, "ks": [1, 2], "temperature": 1.0, "max_tokens": 32}
    given = {"model": "lab", "tasks": str(tasks), "evaluation": how}
    out, numbers = tmp_path / "out", tmp_path / "numbers.json"
    evaluate_model(given, "completion", "gate", out, numbers, Console(quiet=True), greedy=True)
    rows = list(read_file(RESULTS, out / RESULTS_FILE))
    assert [(row.task_id, row.temperature, row.samples) for row in rows] == [
        ("some", 1.0, 2),
        ("shown", 1.0, 2),
        ("some", 0.0, 1),
        ("shown", 0.0, 1),
    ]
    assert all(row.strict == 0 for row in rows if row.task_id == "shown")
    assert all(row.strict >= row.solved for row in rows if row.task_id == "some")
    told = json.loads(numbers.read_text())
    rate = sum(row.solved / row.samples for row in rows[:2]) / 2
    assert told["pass_at_k"]["1"]["value"] == pytest.approx(rate)
    assert set(told["greedy_pass_at_k"]) == {"1"}
    strict = sum(row.strict for row in rows[2:]) / 2
    assert told["greedy_strict_pass_at_k"]["1"]["value"] == pytest.approx(strict)
    (kept,) = (
        ref
        for manifest in Store(str(out / "store")).manifests("evaluate")
        for ref in manifest.of_kind(EVALS.name)
        if manifest.config["evaluation"]["samples"] == 2
    )
    damaged = out / "store/objects" / kept.hash
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    evaluate_model(given, "completion", "gate", out, numbers, Console(quiet=True))
    assert damaged.read_bytes() == content, "it is made anew"
    assert json.loads(numbers.read_text())["pass_at_k"] == told["pass_at_k"]
