"""Ctrl-C ends a command in order, and says whether there is anything to go on with."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from roundsmith.config import child_environment


def interrupted(begun: Path | str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command that gets SIGINT once the file `begun` is there, or
    once it has printed the line `begun`; the output up to then is left out.
    """
    command = [sys.executable, "-m", "roundsmith.cli", *arguments]
    pipe = subprocess.PIPE
    environment = child_environment(NO_COLOR="1")
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        deadline = time.monotonic() + 600
        assert process.stdout is not None
        if isinstance(begun, str):
            while process.stdout.readline() not in (begun, ""):
                continue
        else:
            while not begun.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
    assert "Traceback" not in err, err
    return process.returncode, out, " ".join(err.split())


def test_an_interrupted_eval_says_that_it_goes_on(tmp_path: Path) -> None:
    out = str(tmp_path)
    begun = tmp_path / "store" / "manifests" / "model"
    code, _, said = interrupted(begun, "eval", "lab", "--limit", "4", "--out", out)
    assert code == 130
    assert "interrupted: run the same command again and it goes on" in said


def test_an_interrupted_card_says_that_it_begins_anew(tmp_path: Path) -> None:
    begun = tmp_path / "services" / "logs" / "pair-builder.log"
    code, printed, said = interrupted(begun, "lab", "card", "--out", str(tmp_path))
    assert (code, printed) == (130, "")
    assert said.endswith("interrupted: run the same command again and it begins anew")


def test_serve_all_ends_well_while_it_starts(tmp_path: Path) -> None:
    begun = tmp_path / "services" / "logs" / "pair-builder.log"
    code, printed, said = interrupted(begun, "serve", "all", "--out", str(tmp_path))
    assert (code, printed, said) == (0, "", "")


def test_serve_all_ends_well_when_it_serves(tmp_path: Path) -> None:
    code, printed, said = interrupted("}\n", "serve", "all", "--out", str(tmp_path))
    assert (code, printed, said) == (0, "", "")
