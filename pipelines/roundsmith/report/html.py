"""report.html: one self-contained file about one round.

Samples are untrusted text: everything is escaped, and the page's policy lets no script run but its
own (by hash) and loads nothing from anywhere.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from roundsmith.report import words
from roundsmith.report.curves import LossPoint, histogram, loss_curves
from roundsmith.report.plots import Estimate, bars, intervals
from roundsmith.report.summary import PassAtK, Result, Summary
from roundsmith.store import DroppedRow

HERE = Path(__file__).parent
SHOWN_SAMPLES = 300
SHOWN_CHARACTERS = 6000
SHOWN_DROPPED = 100
PLOTS = ("pass_at_k", "funnel", "verdicts", "perplexity", "loss")
SPLIT_ORDER = ("final", "gate", "train")


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One program that the model wrote, as the browser shows it."""

    sample_id: str
    task_id: str
    description: str
    code: str
    verdict: str
    perplexity: float | None
    selected: bool


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """What a report is made of. `samples` may be a part of `num_samples`."""

    summary: Summary
    perplexities_all: tuple[float, ...] = ()
    perplexities_selected: tuple[float, ...] = ()
    loss_curve: tuple[LossPoint, ...] = ()
    control_loss_curve: tuple[LossPoint, ...] = ()
    samples: tuple[SampleRow, ...] = ()
    num_samples: int | None = None
    dropped: tuple[DroppedRow, ...] = ()
    """Training rows that came too near to a held-out task."""


def render(inputs: ReportInputs) -> str:
    """The page; the same inputs, the same bytes."""
    result = inputs.summary.result
    style, script = ((HERE / name).read_text("utf-8") for name in ("report.css", "report.js"))
    shown = spread(inputs.samples, SHOWN_SAMPLES)
    page = environment().get_template("report.html.j2")
    text = page.render(
        summary=inputs.summary,
        result=result,
        cost=inputs.summary.cost,
        measured=_measured(result),
        figures=_figures(inputs),
        samples=[_cut(row) for row in shown],
        verdicts=sorted({row.verdict for row in shown}),
        dropped=inputs.dropped[:SHOWN_DROPPED],
        num_dropped=len(inputs.dropped),
        num_samples=len(inputs.samples) if inputs.num_samples is None else inputs.num_samples,
        style=Markup(style),
        script=Markup(script),
        policy=policy(style, script),
    )
    return text.encode("utf-8", "replace").decode()  # a lone surrogate has no bytes in UTF-8


def spread(rows: Sequence[SampleRow], most: int) -> list[SampleRow]:
    """At most `most` rows, evenly spread over all of them, in order."""
    if len(rows) <= most:
        return list(rows)
    return [rows[i * len(rows) // most] for i in range(most)]


def _measured(result: Result) -> list[tuple[str, str, PassAtK]]:
    named = [split for split in SPLIT_ORDER if split in result.pass_at_k]
    splits = named + sorted(result.pass_at_k.keys() - set(named))
    return [
        (split, k, result.pass_at_k[split][k])
        for split in splits
        for k in sorted(result.pass_at_k[split], key=int)
    ]


def _figures(inputs: ReportInputs) -> dict[str, Markup]:
    """The plots; empty where there are no numbers."""
    result = inputs.summary.result
    figures = dict.fromkeys(PLOTS, Markup(""))
    if measured := _measured(result):
        figures["pass_at_k"] = intervals(
            [(f"{split} pass@{k}", _estimates(m)) for split, k, m in measured]
        )
    if result.funnel:
        last = frozenset([list(result.funnel)[-1]])
        figures["funnel"] = bars(
            "funnel",
            "From tasks and samples to training rows, counts",
            result.funnel,
            last,
            shares=False,
        )
    if result.verdicts:
        ordered = dict(sorted(result.verdicts.items(), key=lambda item: (-item[1], item[0])))
        figures["verdicts"] = bars(
            "verdicts", "Verdicts of single tests", ordered, frozenset({"PASS"}), shares=True
        )
    if inputs.perplexities_all:
        figures["perplexity"] = histogram(inputs.perplexities_all, inputs.perplexities_selected)
    if inputs.loss_curve:
        curves = {"after": inputs.loss_curve, "control": inputs.control_loss_curve}
        figures["loss"] = loss_curves({name: curve for name, curve in curves.items() if curve})
    return figures


def _estimates(measured: PassAtK) -> list[Estimate]:
    estimates = [Estimate("before", measured.before, *measured.before_ci95)]
    if measured.control is not None and measured.control_ci95 is not None:
        estimates.append(Estimate("control", measured.control, *measured.control_ci95))
    return [*estimates, Estimate("after", measured.after, *measured.after_ci95)]


def _cut(row: SampleRow) -> SampleRow:
    if len(row.code) <= SHOWN_CHARACTERS and len(row.description) <= SHOWN_CHARACTERS:
        return row
    code, description = (
        text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}\n[cut]"
        for text in (row.code, row.description)
    )
    return SampleRow(
        row.sample_id, row.task_id, description, code, row.verdict, row.perplexity, row.selected
    )


def policy(style: str, script: str | None = None) -> str:
    """A page's Content-Security-Policy: its own style and script by hash, and nothing else."""
    scripts = "'none'" if script is None else _hash(script)
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {scripts}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def environment() -> Environment:
    """Of the templates here, with the words for numbers as filters."""
    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name in ("percent", "points", "p_value", "p_equals", "whole", "duration", "number"):
        made.filters[name] = getattr(words, name)
    return made
