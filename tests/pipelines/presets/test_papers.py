"""The papers' own settings are whole: each is planned by `roundsmith run --dry-run`."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.presets import FOLDER, names, run_config

PAPERS = [name for name in names() if name.startswith("paper-")]
MBPP = Path(__file__).parents[2] / "data" / "sanitized-mbpp.json.gz"


def test_every_method_of_a_paper_has_one() -> None:
    recipes = {run_config(name, None, {}, []).recipe for name in PAPERS}
    assert recipes == {"gift", "dstc", "inverse_instruct", "atomic"}


@pytest.mark.parametrize("name", PAPERS)
def test_a_dry_run_plans_it_and_starts_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(MBPP, tmp_path / "sanitized-mbpp.json")
    row = {"instruction": "Write a sum.", "response": "```python\nprint(1 + 2)\n```"}
    (tmp_path / "magicoder-evol-instruct-110k.jsonl").write_text(json.dumps(row) + "\n")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["run", "--preset", name, "--dry-run", "--out", "run"])
    assert done.exit_code == 0, done.output
    steps = [line.split() for line in done.output.splitlines() if line.strip().startswith("1 ")]
    assert {"train", "decide", "report"} <= {words[1] for words in steps}
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", PAPERS)
def test_it_says_that_it_was_not_run_here_and_where_each_number_is_from(name: str) -> None:
    lines = (FOLDER / f"{name}.toml").read_text().splitlines()
    head = " ".join(line for line in lines if line.startswith("#"))
    assert "Not run here" in head
    assert "Marks: [" in head
    assert any("[ours]" in line for line in lines)
