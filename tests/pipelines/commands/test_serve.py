"""`roundsmith serve` as an operator types it: what its flags mean to a caller."""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from roundsmith.clients import ClientTls
from roundsmith.clients.channels import open_channel
from roundsmith.clients.services import ScorerClient
from roundsmith.commands.serve_options import Engine, Model, Scoring
from roundsmith.errors import ConfigError, NotAllowed
from roundsmith.types import ScoreItem
from tests.processes import end_of, telling
from tests.services.serve.authority import Authority

MODEL_LOADED = 300_000
"""Fewer objects than torch and transformers make."""
COMMAND = [sys.executable, "-m", "roundsmith.cli", "serve"]


@contextmanager
def served(folder: Path, *arguments: str | Path) -> Iterator[dict[str, str]]:
    """The addresses of a service in a process of its own, which tells of its end."""
    ready = folder / "ready.json"
    words = ["serve", *arguments, "--ready-file", ready, "--die-with-parent"]
    with subprocess.Popen(telling(folder / "told", "roundsmith.cli", *words)) as process:
        try:
            until = time.monotonic() + 600
            while not ready.exists():
                assert process.poll() is None, "it ended before it was ready"
                assert time.monotonic() < until, "it is not ready"
                time.sleep(0.05)
            yield json.loads(ready.read_text())
        finally:
            process.terminate()
            assert process.wait(600) == 0


def test_tls_owners_and_metrics_are_flags(tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    files = ours.issue("server", dns="roundsmith.test")
    flags: list[str | Path] = ["--tls-certificate", files["certificate"], "--tls-key", files["key"]]
    flags += ["--tls-client-ca", ours.ca, "--admin-subject", "owner", "--admin-subject", "deputy"]
    here = {"ca": ours.ca, "server_name": "roundsmith.test"}

    async def call(addresses: dict[str, str], subject: str) -> None:
        tls = ClientTls.model_validate(here | ours.issue(subject))
        async with (
            open_channel(addresses["address"], tls) as channel,
            open_channel(addresses["admin_address"], tls) as admin,
        ):
            client = ScorerClient(channel, admin)
            score = await client.score(ScoreItem("i", "def f():", " return 1"))
            assert score.token_count > 0
            await client.stream.close()
            await client.reload("elsewhere", score.weights_sha256)

    with served(tmp_path, "scorer", "--metrics-port", "0", *flags) as addresses:
        with pytest.raises(NotAllowed, match="saw caller"):
            asyncio.run(call(addresses, "caller"))
        with pytest.raises(ConfigError, match="storage root"):
            asyncio.run(call(addresses, "deputy"))
        metrics = f"http://{addresses['metrics_address']}/metrics"
        with urllib.request.urlopen(metrics, timeout=60) as page:
            assert 'items_finished_total{method="ScoreStream"' in page.read().decode()
    end = end_of(tmp_path / "told")
    assert end.searches
    assert end.left_out > MODEL_LOADED, "what it loaded to start is not searched for garbage again"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--tls-key", "k.pem"), "expected tls_certificate and tls_key together"),
        (("--admin-subject", "a"), "admin_subjects: expected tls_client_ca"),
        (("--port", "7", "--metrics-port", "7"), "expected ports that differ, saw [7, 7]"),
        (("--threads", "-1"), "--threads: Input should be greater than or equal to 0, saw -1"),
        (
            ("--forward-tokens", "-1", "--context-tokens", "-2", "--prefix-bytes", "-3"),
            "--context-tokens: Input should be greater than or equal to 0, saw -2; "
            "--forward-tokens: Input should be greater than or equal to 0, saw -1; "
            "--prefix-bytes: Input should be greater than or equal to 0, saw -3",
        ),
        (("--max-waiting", "0"), "--max-waiting: Input should be greater than or equal to 1"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags: tuple[str, ...], said: str) -> None:
    words = [*COMMAND, "scorer", *flags]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("page", "kinds"), [("generator.md", (Model, Engine)), ("grpc.md", (Scoring,))]
)
def test_a_page_names_every_option_of_a_service_with_a_model(
    page: str, kinds: tuple[type, ...]
) -> None:
    text = (Path(__file__).parents[3] / "docs" / page).read_text()
    names = [field.name for kind in kinds for field in fields(kind)]
    options = {f"`--{name.replace('_', '-')}`" for name in names} - {"`--model`", "`--engine`"}
    assert {option for option in options if option not in text} == set()
