"""`roundsmith submit` where it can not begin."""

import subprocess
import sys

WITHOUT_KUBERNETES = """
import sys
sys.modules["kubernetes"] = None  # as find_spec sees a package that is not installed
sys.argv = ["roundsmith", "submit", "--", "--recipe", "gift"]
from roundsmith.cli import main
main()
"""


def test_submit_without_the_kubernetes_package_says_what_to_install() -> None:
    command = [sys.executable, "-c", WITHOUT_KUBERNETES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "saw none: pip install 'roundsmith[cluster]'" in done.stderr
