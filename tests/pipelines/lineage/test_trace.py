"""From a row back to its prompt and forward to the checkpoints that it went into."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from roundsmith.commands.show_trace import trace_json, trace_tree
from roundsmith.errors import ConfigError, UnknownName
from roundsmith.lineage.history import History
from roundsmith.lineage.integrity import Findings, check_rows
from roundsmith.lineage.shown import Shown
from roundsmith.lineage.trace import Trace, trace
from roundsmith.recipes.identities import sample_id
from roundsmith.recipes.styles import (
    ChatStyle,
    CompletionStyle,
    Demonstration,
    Style,
    without_docstrings,
)
from roundsmith.store import EVALS, EXAMPLES, GROUPS, Manifest, Store, step_key
from roundsmith.types import Example, Kind
from tests.pipelines.lineage.made import MadeRun, made_run, with_a_writer

Rounds = tuple[MadeRun, MadeRun]


def traced(run: MadeRun, name: str) -> Trace:
    return trace(History(Store(run.context.store.url)), name)


def chosen(run: MadeRun) -> list[Example]:
    """The rows of a round that rest on a sample, in order."""
    rows = run.context.store.read_all(EXAMPLES, run.rows)
    return [row for row in rows if row.provenance.parents]


def test_a_row_is_walked_back_to_prompt_verdicts_score_weights_and_code(rounds: Rounds) -> None:
    first, _ = rounds
    row = chosen(first)[0]
    found = traced(first, row.example_id[:12])
    assert (found.kind, found.row) == ("row", row)
    code = found.samples[0]
    assert code.sample.sample_id == row.provenance.parents[0]
    assert {outcome.verdict for outcome in code.outcomes} == {"PASS"}
    assert {outcome.tier for outcome in code.outcomes} == {"T2"}
    assert code.score is not None
    assert code.sample.prompt.startswith("def ")  # type: ignore[union-attr]  # made as plain text
    assert code.sample.provenance.seed == 11
    assert found.task is not None
    assert found.task.task_id == row.provenance.task_id
    assert [m.step for m in found.work] == ["select", "score", "tasks", "sample", "model"]
    assert all(manifest.code_version for manifest in found.work)
    assert found.weights == (first.model,)


def test_a_later_sample_is_walked_back_through_the_description_to_the_first_code(
    rounds: Rounds,
) -> None:
    first, _ = rounds
    last = first.groups[0].samples[-1]
    found = traced(first, last.sample_id)
    assert [t.sample.kind for t in found.samples] == [Kind.CODE, Kind.DESCRIPTION, Kind.CODE]
    assert [t.sample.step for t in found.samples] == [1, 0, 0]


def test_a_bad_task_is_followed_to_its_rows_and_to_every_checkpoint_after_them(
    rounds: Rounds,
) -> None:
    first, second = rounds
    task = first.groups[1].task
    uses = traced(first, task.task_id).uses
    rows = [r for run in rounds for r in run.context.store.read_all(EXAMPLES, run.rows)]
    mine = [row for row in rows if row.provenance.task_id == task.task_id]
    assert {row.row_id for row in uses.rows} == {row.example_id for row in mine}
    assert sum(row.times for row in uses.rows) == len(mine)
    seen = {(c.weights_sha256, c.round, c.promoted) for c in uses.checkpoints}
    assert seen == {
        (first.checkpoint.stats["weights_sha256"], 1, True),
        (second.checkpoint.stats["weights_sha256"], 2, False),
    }


@pytest.mark.parametrize("style", [CompletionStyle(), ChatStyle()])
def test_a_bad_task_is_followed_to_what_it_was_shown_for(style: Style, tmp_path: Path) -> None:
    run = made_run(tmp_path)
    bad, other = (group.task for group in run.groups[:2])
    assert bad.reference is not None
    example = Demonstration(without_docstrings(bad.reference), bad.description)
    group = run.groups[1]
    (told,) = (sample for sample in group.samples if sample.kind is Kind.DESCRIPTION)
    told = replace(told, prompt=style.description("def f(): ...", example))
    told = replace(told, sample_id=sample_id(told))
    store = run.context.store
    drawn = store.write_rows(GROUPS, [replace(group, samples=(told,), outcomes=(), scores={})])
    store.commit(Manifest("sample", step_key("sample", 1, {}, ()), (drawn,)))
    found = traced(run, bad.task_id)
    assert found.uses.shown == (Shown(told.sample_id, other.task_id),)
    assert traced(run, other.task_id).uses.shown == ()
    page = StringIO()
    Console(file=page, width=200).print(trace_tree(found))
    assert f"sample {told.sample_id} of {other.task_id}: it was shown" in page.getvalue()


def test_a_sample_is_followed_through_what_was_drawn_from_it(rounds: Rounds) -> None:
    first, _ = rounds
    group = first.groups[0]
    root, last = group.samples[0], group.samples[-1]
    rows = chosen(first)
    resting = {
        r.example_id for r in rows if {root.sample_id, last.sample_id} & {*r.provenance.parents}
    }
    found = {row.row_id for row in traced(first, root.sample_id).uses.rows}
    assert found == resting
    wrong = group.samples[1]
    assert traced(first, wrong.sample_id).uses.rows == ()


def test_a_checkpoint_is_followed_to_those_that_began_with_it(rounds: Rounds) -> None:
    first, second = rounds
    uses = traced(first, first.checkpoint.stats["weights_sha256"]).uses
    assert [c.weights_sha256 for c in uses.checkpoints] == [
        second.checkpoint.stats["weights_sha256"]
    ]
    assert uses.rows, "the second round's rows were drawn by it"


def test_a_bad_task_is_followed_through_the_writer_that_saw_it_to_what_trained_on_its_rows(
    tmp_path: Path,
) -> None:
    run, writer = with_a_writer(tmp_path)
    store = run.context.store
    task = run.groups[1].task.task_id
    uses = traced(run, task).uses
    (gold,) = store.manifests("corpus")
    assert gold.reference in {row.made_by for row in uses.rows}
    direct = {c.weights_sha256: c.direct for c in uses.checkpoints}
    written, checkpoint = (m.stats["weights_sha256"] for m in (writer, run.checkpoint))
    assert direct == {written: True, checkpoint: True}
    followed = traced(run, written).uses
    assert [(c.weights_sha256, c.direct) for c in followed.checkpoints] == [(checkpoint, False)]
    assert {row.made_by for row in followed.rows} == {run.rows.reference}
    rows = History(store).checkpoints_of([gold])
    assert [(m.hash, saw) for m, saw in rows] == [(writer.hash, True), (run.checkpoint.hash, False)]


def test_a_row_of_a_writers_corpus_is_found_and_checked(tmp_path: Path) -> None:
    run, _ = with_a_writer(tmp_path)
    store = run.context.store
    (gold,) = store.manifests("corpus")
    found = traced(run, next(store.read_all(EXAMPLES, gold)).example_id)
    assert (found.kind, found.task is not None) == ("row", True)
    findings = Findings()
    check_rows(History(store), findings)
    assert findings.problems == []
    assert findings.checked["rows"] == gold.rows + run.rows.rows


def test_a_sample_of_an_evaluation_is_walked_back_to_seed_weights_and_tier(
    rounds: Rounds,
) -> None:
    first, _ = rounds
    record = next(first.context.store.read_all(EVALS, first.after))
    found = traced(first, record.sample_id)
    assert (found.kind, found.record) == ("evaluation sample", record)
    assert found.weights == (first.checkpoint,)
    told = trace_json(found)["record"]
    assert (told["seed"], told["tier"], told["image"]) == (record.seed, "T2", "python")
    text = StringIO()
    Console(width=400, file=text).print(trace_tree(found))
    weights = record.weights_sha256[:12]
    assert (
        f"weights {weights}, seed {record.seed}, index 0; judged in T2 (python)" in text.getvalue()
    )


def test_a_trace_is_json(rounds: Rounds) -> None:
    first, _ = rounds
    row = chosen(first)[0]
    for name in (row.example_id, row.provenance.parents[0], row.provenance.task_id):
        fields = json.loads(json.dumps(trace_json(traced(first, name))))
        assert fields["work"][0]["reference"].partition("/")[0] in {"select", "score", "tasks"}
        assert fields["uses"]["checkpoints"]


@pytest.mark.parametrize("name", ["0123456789", "short", "no such task"])
def test_what_names_nothing_is_refused_with_where_to_look(rounds: Rounds, name: str) -> None:
    with pytest.raises(UnknownName, match=r"saw none: take one from data/\*.parquet"):
        traced(rounds[0], name)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    from roundsmith.commands.runs import open_run

    with pytest.raises(ConfigError, match="expected the folder of a run"):
        open_run(str(tmp_path))
