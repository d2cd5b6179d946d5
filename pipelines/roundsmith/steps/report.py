"""The end of a round: summary.json for programs and report.html for people, from what was kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from roundsmith.benchmarks.asserted import shown_tests
from roundsmith.report.curves import LossPoint
from roundsmith.report.html import ReportInputs, SampleRow, render
from roundsmith.report.measure import gate, measured
from roundsmith.report.summary import PassAtK, Result, Summary, to_json
from roundsmith.statistics import Evaluation, GateDecision, Interval
from roundsmith.steps.chosen import chosen_samples
from roundsmith.steps.context import Context, Made, reference
from roundsmith.steps.evaluate import evaluation_of, results_of
from roundsmith.steps.inputs import tasks_of
from roundsmith.steps.ledger import cost_of
from roundsmith.steps.own_work import own_work
from roundsmith.store import DROPPED, RESULTS, Manifest, TaskResult
from roundsmith.types import Group, Kind, Sample, Split, Task

SET = "set"
"""The key of a task's meta under which pass@k is told for a part of a split."""
STRICT = "strict"
"""The set under which pass@k by the tests that prompts do not show is told, where they show any."""
WHEN = ("before", "after", "control")
EVALUATED = ("gate_", "final_", "train_")
"""How the names of evaluations begin; behind it stands whose they are."""
DRAWN = 100_000
"""Perplexities that the report's histogram is drawn of: of more scored samples, an even spread."""
BROWSED = 2000
"""Samples that the report's browser is offered; it shows an even spread of them."""


async def report(ctx: Context, **refs: str) -> str:
    """Two blobs, summary.json and report.html, made from every manifest of the round, and the
    results of every evaluated task.
    """
    made = {name: ctx.manifest(ref) for name, ref in refs.items()}

    async def make() -> Made:
        summary = summarise(ctx, made)
        inputs = report_inputs(ctx, made, summary)
        texts = (to_json(summary), render(inputs))
        results = ctx.store.write_rows(RESULTS, _results(ctx, made))
        return Made([*(ctx.store.put_blob(text.encode()) for text in texts), results])

    ks = list(ctx.config.evaluation.ks)
    settings: dict[str, Any] = {"round": ctx.round, "preset": ctx.config.preset, "ks": ks}
    if ctx.config.price.known:
        settings["price"] = ctx.config.price.model_dump(mode="json")
    return reference(await ctx.once("report", 5, settings, tuple(made.values()), make))


def summarise(ctx: Context, made: Mapping[str, Manifest]) -> Summary:
    """The round in numbers; `result` depends on inputs and seed alone."""
    config, sampled, rows = ctx.config, made["groups"].stats, made["rows"].stats
    scored, checkpoint = made["scored"].stats, made["checkpoint"].stats
    funnel = {
        "tasks": sampled["tasks"],
        "samples": sampled["samples"],
        "codes": sampled["codes"],
        **({"self-made tests": sampled["tests"]} if sampled["tests"] else {}),
        "passing codes": sampled["passing"],
        "tasks with a passing code": sampled["tasks_with_passing"],
        "scored codes": scored.get("scored", 0),
        "selected rows": rows["selected"],
        **({"dropped for held-out tasks": rows["dropped"]} if rows.get("dropped") else {}),
        "training rows with gold": rows["rows"],
        "rows trained": checkpoint["rows"],
    }
    own = own_work(made, ctx.round)
    evaluations = [own[name] for name in own if name.startswith(EVALUATED)]
    decision = decision_of(made["decision"])
    result = Result(
        recipe=config.recipe,
        preset=config.preset,
        model=config.model,
        seed=config.seed,
        round=ctx.round,
        tasks=config.tasks,
        tasks_sha256=made["tasks"].hash,
        weights_sha256=made["model"].stats["weights_sha256"],
        pass_at_k=_pass_at_k(ctx, made),
        funnel=funnel,
        verdicts={
            name.removeprefix("verdict_"): count
            for name, count in sampled.items()
            if name.startswith("verdict_")
        },
        tokens={
            "prompt": sum(m.stats["prompt_tokens"] for m in (made["groups"], *evaluations))
            + checkpoint.get("prompt_tokens", 0),
            "sampled": sampled["sampled_tokens"] + checkpoint.get("sampled_tokens", 0),
            "scored": scored.get("scored_tokens", 0),
            "trained": checkpoint["trained_tokens"],
            "evaluated": sum(m.stats["sampled_tokens"] for m in evaluations),
        },
        selection=rows["measured"],
        executions=sampled["executions"]
        + checkpoint.get("executions", 0)
        + sum(m.stats["executions"] for m in evaluations),
        promoted=decision.promoted,
        gate=gate(decision),
        checkpoint="checkpoint",
        checkpoint_sha256=checkpoint["weights_sha256"],
    )
    return Summary(result, cost_of(made, result, config.price, ctx))


def report_inputs(ctx: Context, made: Mapping[str, Manifest], summary: Summary) -> ReportInputs:
    """What the page shows beside the summary."""
    everything, selected, browsed, num_samples = [], [], [], 0
    every = max(1, made["groups"].stats["codes"] // BROWSED)
    spread, num_scored = max(1, made["scored"].stats.get("scored", 0) // DRAWN), 0
    for group, chosen in chosen_samples(ctx.store, made["scored"], made["rows"]):
        for sample in group.samples:
            score = group.scores.get(sample.sample_id)
            if score is not None and score.p_yes is None:
                num_scored += 1
                if num_scored % spread == 0:
                    everything.append(score.perplexity)
                    selected += [score.perplexity] if sample.sample_id in chosen else []
            if sample.kind is Kind.CODE:
                num_samples += 1
                if num_samples % every == 0:
                    browsed.append(_row(group, sample, sample.sample_id in chosen))
    control = made.get("control")
    return ReportInputs(
        summary=summary,
        perplexities_all=tuple(everything),
        perplexities_selected=tuple(selected),
        loss_curve=_loss(made["checkpoint"]),
        control_loss_curve=_loss(control) if control else (),
        samples=tuple(browsed),
        num_samples=num_samples,
        dropped=tuple(ctx.store.read_all(DROPPED, made["rows"])),
    )


def decision_of(manifest: Manifest) -> GateDecision:
    """The decision that a manifest of the step `decide` keeps."""
    stats = {f.name: manifest.stats[f.name] for f in fields(GateDecision)}
    interval = Interval(**stats.pop("ci95"))
    return GateDecision(**stats | {"ci95": interval, "reasons": tuple(stats["reasons"])})


def _pass_at_k(ctx: Context, made: Mapping[str, Manifest]) -> dict[str, dict[str, PassAtK]]:
    """By split and, where the tasks of a split name sets in their meta, by split and set."""
    found: dict[str, dict[str, PassAtK]] = {}
    for split in (Split.GATE, Split.FINAL, Split.TRAIN):
        if f"{split}_before" not in made:
            continue
        before, after, control = (_evaluation(ctx, made, f"{split}_{when}") for when in WHEN)
        assert before is not None
        assert after is not None
        tasks = list(tasks_of(ctx, made["tasks"], split))
        for name, ids in _parts(tasks, split):
            of = control and control.only(ids)
            found[name] = _by_k(ctx, before.only(ids), after.only(ids), of)
        if any(shown_tests(task) for task in tasks):
            ends = (_evaluation(ctx, made, f"{split}_{w}", strict=True) for w in WHEN)
            found[f"{split} {STRICT}"] = _by_k(ctx, *ends)
    return found


def _by_k(
    ctx: Context, before: Evaluation | None, after: Evaluation | None, control: Evaluation | None
) -> dict[str, PassAtK]:
    assert before is not None
    assert after is not None
    return {
        str(k): measured(before, after, control, k=k, seed=ctx.config.seed)
        for k in ctx.config.evaluation.ks
    }


def _results(ctx: Context, made: Mapping[str, Manifest]) -> Iterator[TaskResult]:
    for name, manifest in made.items():
        if name.startswith(EVALUATED):
            yield from results_of(ctx, manifest, name.partition("_")[2])


def _parts(tasks: Sequence[Task], split: Split) -> Iterator[tuple[str, frozenset[str] | None]]:
    """The whole split (None), and each set that its tasks name, with the ids of its tasks."""
    yield str(split), None
    for name in sorted({task.meta[SET] for task in tasks if SET in task.meta}):
        ids = frozenset(task.task_id for task in tasks if task.meta.get(SET) == name)
        yield f"{split} {name}", ids


def _evaluation(
    ctx: Context, made: Mapping[str, Manifest], name: str, *, strict: bool = False
) -> Evaluation | None:
    return evaluation_of(ctx, made[name], strict=strict) if name in made else None


def _row(group: Group, sample: Sample, selected: bool) -> SampleRow:
    seen = [outcome for outcome in group.outcomes if outcome.code_id == sample.sample_id]
    worst = next((o for o in seen if o.verdict != "PASS"), seen[-1] if seen else None)
    score = group.scores.get(sample.sample_id)
    return SampleRow(
        sample_id=sample.sample_id,
        task_id=group.task.task_id,
        description=group.task.description,
        code=sample.text,
        verdict=str(worst.verdict) if worst else "not run",
        perplexity=score.perplexity if score and score.p_yes is None else None,
        selected=selected,
    )


def _loss(checkpoint: Manifest) -> tuple[LossPoint, ...]:
    return tuple(LossPoint(int(step), float(loss)) for step, loss in checkpoint.stats["loss"])
