"""`roundsmith --version` names the code as rows and reports do."""

from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.steps.code_version import code_version


def test_the_version_is_the_one_that_rows_carry() -> None:
    done = CliRunner().invoke(app, ["--version"], catch_exceptions=False)
    assert (done.exit_code, done.output) == (0, f"roundsmith {code_version()}\n")
