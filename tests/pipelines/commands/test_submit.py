"""`roundsmith submit` where it can not begin."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.errors import ConfigError
from roundsmith.installing import how_to_install

WITHOUT_KUBERNETES = """
import sys
sys.modules["kubernetes"] = None  # as find_spec sees a package that is not installed
sys.argv = ["roundsmith", "submit", "--", "--recipe", "gift"]
from roundsmith.cli import main
main()
"""


def test_submit_without_the_kubernetes_package_says_what_to_install() -> None:
    command = [sys.executable, "-c", WITHOUT_KUBERNETES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"saw none: {how_to_install('cluster')}" in done.stderr


@pytest.mark.parametrize(
    ("command", "seen"),
    [
        (("submit", "--param", "rounds=2"), "--param, .*: expected them with --pipelines"),
        (("submit", "--image", "i", "--", "--recipe", "gift"), "expected them with --pipelines"),
        (("cancel", "c", "--storage", "s3://b/p"), "--storage s3://b/p: expected it with"),
    ],
)
def test_what_is_for_kubeflow_alone_is_refused_without_it(
    command: tuple[str, ...], seen: str
) -> None:
    with pytest.raises(ConfigError, match=seen):
        CliRunner().invoke(app, list(command), catch_exceptions=False)
