"""The programs of docs/examples, made as docs/grpc.md says, against services that ask for
certificates.
"""

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.serve.authority import Authority
from tests.warm import Warm, start

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "grpc.md"
OUT_OF_REACH = (
    *("dial tcp", "no such host", "EAI_AGAIN", "ENOTFOUND", "No matching distribution"),
    *("TLS handshake timeout", "ETIMEDOUT", "ECONNRESET", "502 Bad Gateway", "Read timed out"),
)
pytestmark = pytest.mark.slow

PRINTED = """weights [0-9a-f]{12}, reproducible true
bad failed: .*expected prompt, saw none: give it
good [01] ".*" (stop|length) last=false
good [01] ".*" (stop|length) last=true
sum is-5 VERDICT_PASS LABEL_POSITIVE
sum is-6 VERDICT_FAIL LABEL_NEGATIVE
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs for the services and for the programs."""
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def addresses(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """A generator and an executor that let in only who shows a certificate of ours."""
    files = authority.issue("localhost", dns="localhost")
    tls = ["--tls-certificate", str(files["certificate"]), "--tls-key", str(files["key"])]
    folder = tmp_path_factory.mktemp("ready")
    started: list[Warm] = []
    found: dict[str, str] = {}
    try:
        for name, options in (("generator", ["--model", "lab"]), ("executor", ["--slots", "1"])):
            ready = folder / name
            words = ("serve", name, *options, *tls, "--tls-client-ca", str(authority.ca))
            log = ready.with_suffix(".log")
            started.append(start("roundsmith.cli", (*words, "--ready-file", str(ready)), log))
            for _ in range(1800):
                if ready.exists():
                    break
                assert started[-1].poll() is None, log.read_text()
                time.sleep(0.1)
            port = json.loads(ready.read_text())["address"].rpartition(":")[2]
            found[name] = f"localhost:{port}"
        yield found
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait()


def steps(language: str) -> str:
    """What the page says to do for a language, but for the call itself."""
    section = PAGE.read_text().split(f"**{language}**")[1]
    block = section.split("```")[1]
    lines = block.strip().splitlines()
    assert lines[-1] == "cd ..", "the page ends with the call and the way back"
    return "\n".join(lines[:-2])


def make(language: str, folder: Path) -> None:
    """Follows the page in an empty folder."""
    script = f"set -e\nexport ROUNDSMITH={ROOT}\n{steps(language)}\n"
    made = subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    said = made.stdout + made.stderr
    if made.returncode and any(sign in said for sign in OUT_OF_REACH):
        pytest.skip(f"the packages of {language} can not be fetched: {said[-300:]}")
    assert made.returncode == 0, said


def call(
    command: list[str], dash: str, authority: Authority, addresses: dict[str, str]
) -> list[str]:
    """The options that both programs take."""
    mine = authority.issue("caller")
    given = {**addresses, "ca": authority.ca, **mine}
    return [*command, *(str(word) for name in given for word in (f"{dash}{name}", given[name]))]


@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")
def test_the_go_program_generates_and_executes_over_mutual_tls(
    tmp_path: Path, authority: Authority, addresses: dict[str, str]
) -> None:
    make("Go", tmp_path)
    command = call(["go", "run", "."], "-", authority, addresses)
    ran = subprocess.run(command, cwd=tmp_path / "go", capture_output=True, text=True, check=False)
    assert re.fullmatch(PRINTED, ran.stdout), ran.stdout + ran.stderr
    without = command[: -2 * 2]
    refused = subprocess.run(without, cwd=tmp_path / "go", capture_output=True, check=False)
    assert refused.returncode == 1


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node and npm")
def test_the_node_program_generates_and_executes_over_mutual_tls(
    tmp_path: Path, authority: Authority, addresses: dict[str, str]
) -> None:
    make("Node", tmp_path)
    node = ["node", "call.js", "--protos", str(ROOT / "protos")]
    command = call(node, "--", authority, addresses)
    ran = subprocess.run(
        command, cwd=tmp_path / "node", capture_output=True, text=True, check=False
    )
    assert re.fullmatch(PRINTED, ran.stdout), ran.stdout + ran.stderr
