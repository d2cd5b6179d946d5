"""A trace as JSON for programs and as a tree for people."""

from dataclasses import asdict
from typing import Any

from rich.syntax import Syntax
from rich.text import Text
from rich.tree import Tree

from roundsmith.lineage.trace import Trace, TracedSample
from roundsmith.lineage.uses import Uses
from roundsmith.store import EvalRecord, Manifest
from roundsmith.store.codecs import example_columns, pair_columns, task_columns
from roundsmith.types import ChatMessage, Example, Prompt, Provenance, Row

SHOWN = 8
"""Rows and outcomes that the tree shows of each; the JSON has all."""


def trace_json(found: Trace) -> dict[str, Any]:
    """A trace as `docs/formats.md` has it."""
    return {
        "schema_version": 1,
        "name": found.name,
        "kind": found.kind,
        "row": None if found.row is None else _row_columns(found.row),
        "record": None if found.record is None else asdict(found.record),
        "samples": [asdict(traced) for traced in found.samples],
        "task": None if found.task is None else task_columns(found.task),
        "work": [_work(manifest) for manifest in found.work],
        "weights": [_work(manifest) for manifest in found.weights],
        "uses": asdict(found.uses),
    }


def _row_columns(row: Row) -> dict[str, Any]:
    return example_columns(row) if isinstance(row, Example) else pair_columns(row)


def _work(manifest: Manifest) -> dict[str, Any]:
    return {"reference": manifest.reference, "hash": manifest.hash} | asdict(manifest)


def trace_tree(found: Trace) -> Tree:
    """A trace for a person."""
    tree = Tree(Text(f"{found.kind} {found.name}", "bold"))
    if found.row is not None:
        _add_row(tree, found.row)
    if found.record is not None:
        _add_record(tree, found.record)
    for traced in found.samples:
        _add_sample(tree, traced)
    if found.task is not None:
        task = found.task
        told = f"task {task.task_id} (split {task.split}, {len(task.tests)} tests)"
        node = tree.add(Text(told, "bold"))
        node.add(_licence(task.source, task.licence))
        node.add(Text(task.description))
    for manifest in found.weights:
        tree.add(Text(f"weights {manifest.stats['weights_sha256']}", "bold")).add(
            f"{manifest.reference[:40]}, {_origin(manifest)}"
        )
    _add_work(tree, found)
    _add_uses(tree, found)
    return tree


def _add_row(tree: Tree, row: Row) -> None:
    node = tree.add(Text("prompt and answer", "bold"))
    node.add(Text(prompt_text(row.prompt)))
    for answer in (row.completion,) if isinstance(row, Example) else (row.chosen, row.rejected):
        node.add(_code(answer))
    node.add(_provenance(row.provenance))


def _add_record(tree: Tree, record: EvalRecord) -> None:
    verdicts = ", ".join(record.verdicts)
    tree.add(Text(f"task {record.task_id}, solved: {record.solved} ({verdicts})"))
    tree.add(_code(record.text))
    if record.seed is None:
        tree.add("of an earlier version, which kept no seed, weights or tier")
        return
    drawn = f"weights {record.weights_sha256[:12]}, seed {record.seed}, index {record.index}"
    tree.add(Text(f"{drawn}; judged in {record.tier} ({record.image})"))


def _add_sample(tree: Tree, traced: TracedSample) -> None:
    sample = traced.sample
    node = tree.add(Text(f"{sample.kind} {sample.sample_id}", "bold"))
    node.add(Text(f"step {sample.step}, index {sample.index}, {sample.token_count} tokens"))
    node.add(Text("given: ").append(prompt_text(sample.prompt)))
    node.add(_code(sample.text) if sample.kind == "code" else Text(f"wrote: {sample.text}"))
    node.add(_provenance(sample.provenance))
    if traced.score is not None and traced.score.token_count:
        scored = traced.score
        by = scored.weights_sha256[:12]
        node.add(f"perplexity {scored.perplexity:.4g} over {scored.token_count} tokens, by {by}")
    for outcome in traced.outcomes[:SHOWN]:
        told = f"{outcome.test_id}: {outcome.verdict}, judged {outcome.judge} in {outcome.tier}"
        node.add(Text(f"{told} ({outcome.image})" + " near its limit" * outcome.near_limit))
    _add_more(node, len(traced.outcomes), "outcomes")


def _add_work(tree: Tree, found: Trace) -> None:
    node = tree.add(Text("made by, nearest first", "bold"))
    for manifest in found.work:
        node.add(
            f"{manifest.reference} ({manifest.reproducible}; roundsmith {manifest.code_version})"
        )


def _add_uses(tree: Tree, found: Trace) -> None:
    uses = found.uses
    node = tree.add(Text("went into", "bold"))
    for shown in uses.shown[:SHOWN]:
        node.add(f"sample {shown.sample_id} of {shown.task_id}: it was shown as an example")
    _add_more(node, len(uses.shown), "samples that it was shown for")
    for row in uses.rows[:SHOWN]:
        node.add(f"row {row.row_id} of {row.made_by[:19]}, {row.times} times")
    _add_more(node, len(uses.rows), "rows")
    for checkpoint in uses.checkpoints:
        word = {True: "promoted", False: "not promoted", None: "not judged"}[checkpoint.promoted]
        word += ", taken back" * checkpoint.taken_back
        how = "its training saw it" if checkpoint.direct else "rests on one that saw it"
        of = f"round {checkpoint.round}" if checkpoint.round else "no report"
        node.add(f"checkpoint {checkpoint.weights_sha256} ({of}, {word}): {how}")
    if uses == Uses():
        node.add("nothing")


def _add_more(node: Tree, total: int, of: str) -> None:
    if total > SHOWN:
        node.add(f"and {total - SHOWN} more {of}: --json")


def _provenance(origin: Provenance) -> Text:
    parts = [f"recipe {origin.recipe}, round {origin.round}"]
    if origin.weights_sha256:
        parts.append(f"weights {origin.weights_sha256[:12]}, seed {origin.seed}")
    if (how := origin.sampling) is not None:
        parts.append(f"temperature {how.temperature:g}, top_p {how.top_p:g}, top_k {how.top_k}")
    parts.append(_licence(origin.source, origin.licence))
    return Text("; ".join(parts))


def _origin(manifest: Manifest) -> str:
    if manifest.step == "model":
        return f"the model {manifest.config['model']} that the run began with"
    return f"trained for {manifest.stats['steps']} steps on {manifest.stats['rows']} rows"


def _licence(source: str, licence: str) -> str:
    return f"source {source or 'unknown'}, licence {licence or 'unknown'}"


def prompt_text(prompt: Prompt) -> str:
    """A prompt for a person to read."""
    if isinstance(prompt, str):
        return prompt
    turns = [f"{t.role}: {t.content}" for t in prompt if isinstance(t, ChatMessage)]
    return "\n".join(turns) or f"{len(prompt)} tokens {prompt[:16]}"


def _code(text: str) -> Syntax:
    return Syntax(text.strip("\n"), "python", background_color="default", word_wrap=True)
