"""`roundsmith doctor --cluster` finds out whether the services of a cluster work."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from roundsmith.clients import Endpoints
from roundsmith.platform.service_checks import serve_check, service_checks

NAMES = ["generator", "executor", "scorer", "pair builder"]


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """Where `roundsmith serve all` listens."""
    out = tmp_path_factory.mktemp("serve")
    command = [sys.executable, "-m", "roundsmith.cli", "serve", "all", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = "".join(iter(process.stdout.readline, "}\n"))
        yield Endpoints.model_validate_json(printed + "}")
        process.terminate()


@pytest.mark.slow
def test_services_that_work_are_ok_and_tell_what_they_did(endpoints: Endpoints) -> None:
    found = asyncio.run(service_checks(endpoints, patience_s=240.0))
    assert [check.name for check in found] == NAMES
    assert all(check.ok for check in found), found
    details = {check.name: check.detail for check in found}
    assert all(detail.startswith("SERVING; ") for detail in details.values())
    assert "a right program passed, a wrong one failed" in details["executor"]
    assert "8 tokens" in details["generator"]
    assert "perplexity" in details["scorer"]
    assert re.search(r"gift chose [1-9]\d* rows", details["pair builder"])


@pytest.mark.slow
def test_a_service_that_is_away_is_named_and_the_others_are_still_asked(
    endpoints: Endpoints,
) -> None:
    away = endpoints.model_copy(update={"scorer": "127.0.0.1:1"})
    found = asyncio.run(service_checks(away, patience_s=20.0))
    assert [check.name for check in found if not check.ok] == ["scorer"]
    assert "127.0.0.1:1" in next(check.remedy for check in found if not check.ok)


@pytest.mark.slow
def test_what_is_served_to_others_is_asked_as_they_ask_it(endpoints: Endpoints) -> None:
    found = asyncio.run(serve_check(endpoints.generator, None, patience_s=240.0))
    assert found.ok
    assert "8 tokens" in found.detail
    away = asyncio.run(serve_check("127.0.0.1:1", None, patience_s=1.0))
    assert (away.name, away.ok) == ("serve", False)
    assert "127.0.0.1:1" in away.remedy


def test_doctor_reads_the_json_of_the_chart(tmp_path: Path) -> None:
    config = tmp_path / "cluster.json"
    config.write_text(json.dumps({"endpoints": {}}))
    command = [sys.executable, "-m", "roundsmith.cli", "doctor", "--cluster", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "endpoints.generator" in done.stderr
