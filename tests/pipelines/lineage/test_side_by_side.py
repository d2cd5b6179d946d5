"""Runs side by side: settings that differ, pairs of tasks, refusals."""

from pathlib import Path

import pytest

from roundsmith.errors import ConfigError
from roundsmith.lineage.history import History
from roundsmith.lineage.side_by_side import (
    FinishedRun,
    beside,
    differences,
    evaluation_told,
    measuring_executions,
    settings_told,
)
from roundsmith.report.dotted import flat
from roundsmith.statistics import Evaluation, TaskCount
from roundsmith.store import Manifest, Store


def run(name: str, solved: dict[str, int], **settings: object) -> FinishedRun:
    counts = tuple(TaskCount(task, 4, number) for task, number in solved.items())
    return FinishedRun(name, flat({"seed": 0, **settings}), Evaluation(counts, 4), 10, 5, 0, 1.0)


def test_only_settings_that_differ_are_told_by_their_dotted_names() -> None:
    runs = [
        run("a", {"t": 1}, recipe_config={"tail": 2, "training": {"epochs": 1}}),
        run("b", {"t": 1}, recipe_config={"tail": 2, "training": {"epochs": 3}}),
        run("c", {"t": 1}, recipe_config={"training": {"epochs": 1}}),
    ]
    assert differences(runs) == {
        "recipe_config.tail": [2, 2, None],
        "recipe_config.training.epochs": [1, 3, 1],
    }


@pytest.mark.parametrize("text", [b"", b"[1]", b'{"seed"', b"\xc8\xa0"])
def test_settings_that_are_damaged_are_refused_by_their_file(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "run.json"
    file.write_bytes(text)
    with pytest.raises(ConfigError, match=r"run\.json: expected the settings .*, saw \w+Error: .+"):
        settings_told(file)


def test_runs_are_paired_on_the_tasks_that_both_looked_at() -> None:
    one = run("one", {"a": 0, "b": 2, "c": 4})
    two = run("two", {"b": 4, "c": 4, "d": 1})
    found = beside(one, two, 1)
    assert found.difference.num_tasks == 2
    assert found.difference.difference == pytest.approx(0.25)
    assert found.left_out == 2
    with pytest.raises(ConfigError, match="saw none"):
        beside(one, run("three", {"x": 1}), 1)


def test_executions_that_only_measured_a_choice_are_those_of_the_runs_own_rounds(
    tmp_path: Path,
) -> None:
    store = Store(str(tmp_path / "store"))
    for number, measuring in enumerate((90, 40, 7), 1):
        stats = {"executions": 190, "measuring_executions": measuring}
        sampled = store.commit(Manifest("sample", f"{number}" * 64, stats=stats))
        told = store.put_blob(f"summary {number}".encode())
        store.commit(Manifest("report", f"{number}" * 64, (told,), (sampled.hash,)))
    for number in (1, 2):  # the third is of another run in the same store
        (tmp_path / f"round-{number}").mkdir()
        (tmp_path / f"round-{number}/summary.json").write_text(f"summary {number}")
    assert measuring_executions(store, tmp_path) == 130


def test_an_evaluation_is_that_of_the_runs_own_tasks_and_of_the_rounds_own_checkpoint(
    tmp_path: Path,
) -> None:
    """Beside it lie those of a file that must not get worse, and of other tasks of the folder."""
    store = Store(str(tmp_path))

    def made(step: str, key: str, *parents: Manifest, **config: object) -> Manifest:
        manifest = Manifest(step, key * 64, (), tuple(m.hash for m in parents), config)
        return store.commit(manifest)

    tasks, other, kept = made("tasks", "a"), made("tasks", "b"), made("kept", "c")
    model = made("train", "d")
    looked = [
        made("evaluate", key, of, model, split=split)
        for key, of, split in (("1", kept, "gate"), ("2", other, "gate"), ("3", tasks, "gate"))
    ]
    final = made("evaluate", "4", tasks, model, split="final")
    before = made("evaluate", "5", tasks, made("model", "e"), split="gate")
    decision = made("decide", "f", before, looked[2], looked[0])
    report = made("report", "0", looked[0], tasks, before, looked[2], final, decision)
    history = History(store)
    assert evaluation_told(history, report, "gate") == looked[2]
    assert evaluation_told(history, report, "final") == final
    assert evaluation_told(history, made("report", "9", before, decision), "final") is None
