"""The table of settings in docs/executor.md is all of them, and its program starts an executor."""

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path

import typer

from roundsmith.cli import app
from roundsmith.clients import ExecutorClient
from roundsmith.clients.channels import open_channel
from roundsmith.executor.settings import ExecutorSettings
from tests.ports import kept_port

PAGE = Path(__file__).parents[3] / "docs" / "executor.md"
PATIENCE_S = 300


def section() -> str:
    return PAGE.read_text("utf-8").split("\n## Settings\n")[1].split("\n## ")[0]


def rows() -> list[list[str]]:
    """The cells of each row below the heads."""
    found = re.findall(r"^\| (`.+) \|$", section(), re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in found]


def test_every_setting_is_told_with_its_option_and_its_default() -> None:
    told: dict[str, tuple[str, str]] = {}
    for names, options, defaults, _ in rows():
        fields = re.findall(r"`(\w+)`", names)
        flags = re.findall(r"`(--[\w-]+)`", options) or [""] * len(fields)
        values = [value.strip() for value in defaults.split(",")]
        values = [""] * len(fields) if values == [""] else values  # where another page tells them
        told |= dict(zip(fields, zip(flags, values, strict=True), strict=True))
    assert told.keys() == ExecutorSettings.model_fields.keys()
    command = typer.main.get_command(app)
    for word in ("serve", "executor"):
        command = command.commands[word]  # type: ignore[attr-defined]  # groups, both of them
    by_name = {option.name: option.opts[0] for option in command.params}
    for name, (flag, default) in told.items():
        assert flag == by_name.get(name, ""), name
        value = getattr(ExecutorSettings(), name)
        assert default in ("", str(value), f"{value:g}" if isinstance(value, float) else ""), name


def test_the_program_of_the_page_starts_an_executor_with_these_settings() -> None:
    (program,) = re.findall(r"```python\n(.+?)```", section(), re.DOTALL)
    port = kept_port()
    assert "port=8033" in program

    async def seen() -> tuple[int, float]:
        async with asyncio.timeout(PATIENCE_S), open_channel(f"127.0.0.1:{port}") as channel:
            held = await ExecutorClient(channel).capabilities(PATIENCE_S)
            return held.slots, held.rerun_share

    code = program.replace("port=8033", f"port={port}")
    with subprocess.Popen([sys.executable, "-c", code]) as server:
        try:
            assert asyncio.run(seen()) == (2, 1.0)
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_S) == 0
