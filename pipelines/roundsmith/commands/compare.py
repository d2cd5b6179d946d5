"""`roundsmith compare`: finished runs side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from roundsmith.lineage.side_by_side import Beside, FinishedRun

EPILOG = """Examples:

roundsmith compare runs/gift runs/rft

roundsmith compare runs/a runs/b runs/c --split gate --json compared.json

Runs of one seed each can not tell methods apart: the interval is for other tasks, not for other
seeds. `roundsmith reproduce` compares over seeds."""


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Folders of finished runs, or of their last rounds; the first is compared with."
        ),
    ],
    split: Annotated[
        str, typer.Option(help="Whose tasks: final (of a run that is over) or gate.")
    ] = "final",
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="The k of pass@k.")] = 1,
    json_: Annotated[Path | None, typer.Option("--json", help="Also write the numbers.")] = None,
) -> None:
    """What differs in the settings of runs, their last checkpoints paired task by task, and what
    each took.
    """
    import json

    from roundsmith.commands.progress import output_console
    from roundsmith.errors import ConfigError
    from roundsmith.lineage.meant import meant_run
    from roundsmith.lineage.side_by_side import beside, differences, read_run
    from roundsmith.storage import make_output_folder
    from roundsmith.types import Split

    if split not in (Split.FINAL, Split.GATE):
        raise ConfigError(f"--split {split!r}: expected final or gate")
    if len(runs) < 2:
        meant_run(runs[0])  # where it is none, those near by are named
        raise ConfigError(f"expected two runs or more to compare, saw {len(runs)}: name another")
    read = [read_run(run, split) for run in runs]
    found = [beside(read[0], other, k) for other in read[1:]]
    differ = differences(read)
    console = output_console()
    _show_settings(differ, read, console)
    _show_results(read, found, split, k, console)
    if json_ is not None:
        make_output_folder(json_.parent, "--json")
        fields = _json(read, found, differ, split, k)
        json_.write_text(json.dumps(fields, indent=2) + "\n")


def _show_settings(
    differ: Mapping[str, Sequence[Any]], read: "Sequence[FinishedRun]", console: "Console"
) -> None:
    table = _table("settings that differ", "setting", [run.name for run in read])
    for name, values in differ.items():
        table.add_row(name, *("" if value is None else str(value) for value in values))
    console.print(table if differ else "the settings are the same")


def _show_results(
    read: "Sequence[FinishedRun]",
    found: "Sequence[Beside]",
    split: str,
    k: int,
    console: "Console",
) -> None:
    from roundsmith.report.words import duration
    from roundsmith.statistics import p_words

    columns = ["tasks", f"pass@{k}", "over the first", "95 %", "p", "tokens", "runs", "took"]
    table = _table(f"last checkpoints on {split}", "run", columns)
    for run, one in zip(read, [None, *found], strict=True):
        gain = ["", "", ""]
        if one is not None:
            low, high = one.difference.ci95.low, one.difference.ci95.high
            gain = [
                f"{100 * one.difference.difference:+.1f}",
                f"[{100 * low:+.1f}, {100 * high:+.1f}]",
                p_words(one.difference.p_value),
            ]
        spent = (str(run.tokens), str(run.executions), duration(run.seconds))
        share = f"{100 * run.evaluation.mean(k):.1f}"
        table.add_row(run.name, str(len(run.evaluation.counts)), share, *gain, *spent)
    console.print(table)
    for one in found:
        if one.left_out:
            console.print(
                f"{one.name}: paired on {one.difference.num_tasks} tasks that both looked at; "
                f"{one.left_out} others are left out of the pairing"
            )
    console.print("the interval is for other tasks, not for other seeds; tokens are sampled and")
    console.print("scored for the rows of all rounds, runs are executions for them")
    for run in read:
        if run.measuring_executions:
            console.print(
                f"{run.name}: {run.measuring_executions} more executions only measure its choice "
                "and are no cost of its method"
            )


def _json(
    read: "Sequence[FinishedRun]",
    found: "Sequence[Beside]",
    differ: Mapping[str, Sequence[Any]],
    split: str,
    k: int,
) -> dict[str, Any]:
    return {
        "split": split,
        "k": k,
        "settings": {name: list(values) for name, values in differ.items()},
        "runs": [
            {
                "run": run.name,
                "pass_at_k": run.evaluation.mean(k),
                "tokens": run.tokens,
                "executions": run.executions,
                "measuring_executions": run.measuring_executions,
                "seconds": run.seconds,
            }
            for run in read
        ],
        "against_first": [
            {
                "run": one.name,
                "difference": one.difference.difference,
                "ci95": [one.difference.ci95.low, one.difference.ci95.high],
                "p_value": one.difference.p_value,
                "tasks": one.difference.num_tasks,
            }
            for one in found
        ],
    }


def _table(title: str, first: str, columns: Sequence[str]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    return table
