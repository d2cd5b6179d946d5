"""`roundsmith doctor` as scripts read it."""

import json

from typer.testing import CliRunner

from roundsmith.cli import app


def test_json_has_an_entry_a_check_and_the_exit_code_follows_them() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    found = json.loads(done.output)
    assert all(set(check) == {"name", "ok", "detail", "remedy"} for check in found)
    assert len({check["name"] for check in found}) == len(found) > 8
    assert done.exit_code == (0 if all(check["ok"] for check in found) else 1)


def test_the_table_names_every_check() -> None:
    done = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "160"})
    for name in ("python", "packages", "isolation", "ports", "lab model"):
        assert name in done.output


def test_the_help_shows_an_example() -> None:
    done = CliRunner().invoke(app, ["doctor", "--help"], catch_exceptions=False)
    assert "roundsmith doctor --json" in done.output
