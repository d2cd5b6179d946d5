"""The program of docs/grpc.md, taken from the page, works against `roundsmith serve all`."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "grpc.md"


@pytest.fixture
def addresses(tiny: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Where `roundsmith serve all` listens, as it prints it itself."""
    command = ["serve", "all", "--model", str(tiny), "--out", str(tmp_path / "out")]
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "roundsmith.cli", *command],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if line == "}\n":
            break
    assert told.endswith("}\n"), (told, (tmp_path / "errors").read_text())
    yield json.loads(told)
    process.terminate()
    process.communicate(timeout=300)


@pytest.mark.slow
def test_the_page_on_grpc_tells_what_a_caller_without_stubs_gets(
    addresses: dict[str, str], tmp_path: Path
) -> None:
    page = PAGE.read_text()
    program = tmp_path / "call.py"
    program.write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0])
    assert "roundsmith.v1 import" not in program.read_text()
    done = subprocess.run(
        [sys.executable, str(program), addresses["generator"], addresses["executor"]],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    promised = re.findall(r"```\n(model: .*?)```", page, re.DOTALL)[0].splitlines()
    seen = done.stdout.splitlines()
    assert seen[0].startswith("model: ")
    answers = {"model": json.loads(seen[0].removeprefix("model: "))}
    assert answers["model"]["engine"] == "transformers"
    assert sorted(line.split()[0] for line in seen) == sorted(p.split()[0] for p in promised)
    fixed = [line for line in promised if not line.startswith(("model: ", "good "))]
    assert [line for line in fixed if line not in seen] == []
