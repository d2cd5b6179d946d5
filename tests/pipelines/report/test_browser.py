"""The page in a real browser, where one is installed: its script runs, a sample's does not."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from roundsmith.report.html import render
from tests.pipelines.report.rounds import INPUTS, SAMPLE

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
EVIL = "</code></pre><script>document.title='taken over'</script><img src=x onerror='alert(1)'>"


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_a_browser_runs_the_pages_script_and_no_samples(tmp_path: Path) -> None:
    assert BROWSER is not None
    page = tmp_path / "report.html"
    page.write_text(render(replace(INPUTS, samples=(SAMPLE, replace(SAMPLE, code=EVIL)))))
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-sync",
            *QUIET,
            profile,
            "--enable-logging=stderr",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert "2 of 2 shown" in done.stdout
    assert 'id="filters" hidden' not in done.stdout
    assert "<title>Roundsmith: gift, round 1</title>" in done.stdout
    assert "Content Security Policy" not in done.stderr
