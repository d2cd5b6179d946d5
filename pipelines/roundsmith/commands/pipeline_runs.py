"""Chains of rounds by Kubeflow Pipelines: submitted, told and ended from here."""

import difflib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
import yaml  # type: ignore[import-untyped]  # ships no types
from rich.console import Console
from rich.table import Table
from rich.text import Text

from roundsmith.errors import ConfigError
from roundsmith.platform.chain import Chain
from roundsmith.platform.control_job import run_name as name_by_options
from roundsmith.platform.parameters import run_name
from roundsmith.platform.pipeline import NAME, Installed, compile_pipeline
from roundsmith.platform.pipelines_api import PipelinesApi

NUMBERS = ("NUMBER_INTEGER", "NUMBER_DOUBLE", "BOOLEAN", "STRUCT", "LIST")
"""Types of parameters whose values are written as JSON."""


def submit_chain(
    api: PipelinesApi, installed: Installed, chain: str | None, given: Sequence[str]
) -> str:
    """Starts the first round of a chain, whose name is by the parameters where it has none; says
    what was done. A chain that was started is left as it is.

    Raises ConfigError where it was started with other parameters.
    """
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "pipeline.yaml")
        compile_pipeline(installed, package)
        chosen = chain or name_by_options(given)
        known = next(yaml.safe_load_all(package.read_text()))["root"]["inputDefinitions"]
        parameters = parse(given, known["parameters"]) | {"chain": chosen}
        name = run_name(chosen, int(parameters.get("round_number", 1)))
        run_id, new = api.submit(package, name, parameters, NAME)
        if not new:
            _refuse_others(name, api.parameters(run_id), parameters, known["parameters"])
    return f"{name} {'is submitted' if new else 'is there already'}: {api.page(run_id)}"


def _refuse_others(
    name: str, there: Mapping[str, Any], given: Mapping[str, Any], known: Mapping[str, Any]
) -> None:
    """Raises ConfigError where the run of this name was started with other parameters."""
    defaults = {key: told.get("defaultValue") for key, told in known.items()}
    started, asked = {**defaults, **there}, {**defaults, **given}
    if apart := sorted(key for key in asked if asked[key] != started[key]):
        seen = ", ".join(f"{key}={json.dumps(started[key])}" for key in apart)
        raise ConfigError(
            f"run {name}: expected the parameters that it was started with, {seen}, saw others: "
            "give them, or another --name"
        )


def parse(given: Sequence[str], known: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in `name=value` texts, as the types of the pipeline want them. Raises
    ConfigError that names what is wrong.
    """
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--param {text!r}: expected name=value, such as --param rounds=3")
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ConfigError(
                f"--param {name}: expected one of {', '.join(sorted(known))}, saw none of "
                f"them{hint}"
            )
        found[name] = _value(name, value, known[name]["parameterType"])
    return found


def show_chains(api: PipelinesApi, chain: str | None, as_json: bool) -> None:
    """Prints how far the rounds of a chain, or all, are."""
    found = api.runs(chain or "")
    if as_json:
        told = [
            {"name": r.name, "chain": r.chain, "state": r.state, "since": r.since, "id": r.run_id}
            for r in found
        ]
        typer.echo(json.dumps(told, indent=2))
        return
    table = Table()
    for column in ("run", "chain", "state", "since", "where"):
        table.add_column(column, overflow="fold")
    for run in found:
        state = f"{run.state}: {run.error}" if run.error else run.state
        table.add_row(*map(Text, (run.name, run.chain, state, run.since, api.page(run.run_id))))
    Console(highlight=False).print(table)


def cancel_chain(api: PipelinesApi, chain: str, storage: str | None) -> str:
    """Ends a chain: its marker is set first, so that no round begins meanwhile; says what ended."""
    here = Chain(storage, chain) if storage else None
    if here:
        here.stop()
    ended: dict[str, str] = {}
    while under_way := {
        run.run_id: run.name
        for run in api.end(chain, here.first_runs() if here else ())
        if run.run_id not in ended
    }:
        ended |= under_way
    return f"chain {chain}: ended {', '.join(ended.values()) or 'nothing, it was over'}"


def _value(name: str, text: str, kind: str) -> Any:
    if kind not in NUMBERS:
        return text
    kinds = {"BOOLEAN": bool, "STRUCT": dict, "LIST": list}
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    wanted = kinds.get(kind, int | float)
    if not isinstance(value, wanted) or (kind not in kinds and isinstance(value, bool)):
        raise ConfigError(
            f"--param {name}: expected JSON of a {kind.lower()}, saw {text!r}: write it so, such "
            'as 3, true or {"iterations": 2}'
        )
    return value
