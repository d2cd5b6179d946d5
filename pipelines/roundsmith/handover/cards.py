"""Cards: what a data set or a checkpoint is, from which rows, measured how, under which licence."""

from collections.abc import Iterator, Sequence

from roundsmith.handover.dataset import Exported
from roundsmith.handover.round import FinishedRound, Taught
from roundsmith.report.summary import Result

UNKNOWN = "unknown"


def data_card(of: FinishedRound, exported: Exported) -> str:
    """README.md of a data set: its header is what `datasets` and the hub read."""
    named = sorted({one for _, *both in exported.by_source for one in both if one is not None})
    licences = sorted({name.lower(): name for name in reversed(named)}.values())
    head = [
        *_licence(licences),
        "tags:",
        "- code",
        "- roundsmith",
        "configs:",
        *(
            line
            for place, kind in enumerate(exported.rows)
            for line in (
                f"- config_name: {kind}s",
                f"  data_files: data/{kind}/*.parquet",
                *(["  default: true"] if place == 0 else []),
            )
        ),
    ]
    result = of.result
    body = [
        f"# Rows of round {result.round} of {result.recipe}",
        "",
        f"Training rows that Roundsmith chose from what a model wrote and an executor ran, and the "
        f"tasks' own references. Recipe `{result.recipe}`, preset `{result.preset}`, seed "
        f"{result.seed}.",
        "",
        *_table(("kind", "rows"), [(kind, str(count)) for kind, count in exported.rows.items()]),
        "",
        "Every row names its task, the samples that it was made from (`parents`; none for a "
        "reference), the weights and the seed that drew them, and the isolation tier that its "
        "programs ran in. `roundsmith trace ID --run RUN` walks the rest of the way.",
        "",
        "## Sources and licences",
        "",
        *_table(
            ("source of the task", "its licence", "licence of the model that wrote", "rows"),
            sorted(
                (source or UNKNOWN, licence or UNKNOWN, _wrote(model), str(count))
                for (source, licence, model), count in exported.by_source.items()
            ),
        ),
        "",
        f"Left out because their licence is unknown: {exported.left_out}. What a model wrote was "
        f"written by `{_model(result)}` (licence {_model_licence(of)}) and what was trained from "
        "it.",
        "",
        *_origin(of),
    ]
    return _card(head, body)


def model_card(
    of: FinishedRound, row_licences: Sequence[tuple[str, str, int]], taken_back: str | None = None
) -> str:
    """README.md of a checkpoint; `row_licences` are source, licence and number of rows,
    `taken_back` why its promotion was taken back, where it was.
    """
    result = of.result
    head = [
        *_licence([_model_licence(of)]),
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "tags:",
        "- code",
        "- roundsmith",
    ]
    word = "promoted" if result.promoted else "not promoted"
    reasons = "; ".join(result.gate.reasons) if result.gate else "no gate was asked"
    body = [
        f"# {_model(result)} after round {result.round} of {result.recipe}",
        "",
        f"`{_model(result)}` trained by Roundsmith on {_taught(of)}: recipe "
        f"`{result.recipe}`, preset `{result.preset}`, seed {result.seed}. The gate's word: "
        f"**{word}** ({reasons}).{_back(taken_back)}",
        "",
        "## Measured",
        "",
        *_table(
            ("split", "metric", "tasks", "before", "control", "after", "95 % of the gain", "p"),
            list(_measured(result)),
        ),
        "",
        f"On the tasks `{_last_part(result.tasks)}`, by unbiased pass@k; interval and p of the "
        f"gain are paired by task and two-sided.{_control(result)}",
        "",
        "## Trained on",
        "",
        *(line for one in of.taught for line in (_lesson(one, len(of.taught) > 1), "")),
        *_table(
            ("source of the task", "licence", "rows"),
            [(s or UNKNOWN, licence or UNKNOWN, str(n)) for s, licence, n in row_licences],
        ),
        "",
        *_origin(of),
    ]
    return _card(head, body)


def _model(result: Result) -> str:
    """The word or the hub's id (OWNER/NAME) of the model; of any other path its last part."""
    given = result.model
    is_path = given.startswith(("/", ".", "~")) or given.count("/") > 1
    return _last_part(given) if is_path else given


def _last_part(path: str) -> str:
    """Where a file lay says nothing to who reads a card elsewhere."""
    return path.rstrip("/").rpartition("/")[2]


def _taught(of: FinishedRound) -> str:
    """Whose rows they are."""
    gold, selected = (sum(t.rows.stats[n] for t in of.taught) for n in ("gold", "selected"))
    own = "rows that it wrote itself"
    if not selected:
        return "references alone"
    return f"{own} and on references" if gold else own


def _lesson(one: Taught, several: bool) -> str:
    """What one training saw; its round where there are several."""
    where = f"Round {one.round or UNKNOWN}: " if several else ""
    return (
        f"{where}{one.num_rows} rows for {one.steps} steps: {one.rows.stats['selected']} selected "
        f"of what the model wrote, {one.rows.stats['gold']} references."
    )


def _back(why: str | None) -> str:
    """That a promotion does not count any more."""
    if why is None:
        return ""
    return f" **The promotion was taken back**{f': {why}' if why else ''}."


def _control(result: Result) -> str:
    """What the control is, where there is one."""
    found = (one for by_k in result.pass_at_k.values() for one in by_k.values())
    if all(one.control is None for one in found):
        return ""
    return " The control is the first model trained on the references alone for as many steps."


def _measured(result: Result) -> Iterator[tuple[str, ...]]:
    for split, by_k in result.pass_at_k.items():
        for k, found in by_k.items():
            low, high = found.ci95
            control = "" if found.control is None else f"{100 * found.control:.1f}"
            yield (
                split,
                f"pass@{k}",
                str(found.num_tasks),
                f"{100 * found.before:.1f}",
                control,
                f"{100 * found.after:.1f}",
                f"{100 * low:+.1f} to {100 * high:+.1f}",
                f"{found.p_value:.2g}",
            )


def _origin(of: FinishedRound) -> list[str]:
    result = of.result
    return [
        "## Origin",
        "",
        *_table(
            ("what", "hash"),
            [
                *(
                    (f"rows of round {one.round or UNKNOWN}", one.rows.hash)
                    for one in of.taught[:-1]
                ),
                ("rows", of.rows.hash),
                ("weights at the start of the round", result.weights_sha256),
                ("checkpoint", result.checkpoint_sha256 or "none"),
                ("tasks", result.tasks_sha256),
                ("code", of.code_version),
            ],
        ),
    ]


def _wrote(licence: str | None) -> str:
    return "no model" if licence is None else licence or UNKNOWN


def _model_licence(of: FinishedRound) -> str:
    return of.model_licence or UNKNOWN


def _licence(licences: Sequence[str]) -> list[str]:
    """The header's licence: the one, or `other` with all names where several or unknown."""
    known = [licence for licence in licences if licence and licence != UNKNOWN]
    if len(licences) == len(known) == 1:
        return [f"license: {known[0].lower()}"]
    names = ", ".join(licence or UNKNOWN for licence in licences)
    return ["license: other", f'license_name: "{names}"']


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"

    return [line(head), line(["---"] * len(head)), *map(line, rows)]


def _card(head: Sequence[str], body: Sequence[str]) -> str:
    return "\n".join(["---", *head, "---", "", *body]) + "\n"
