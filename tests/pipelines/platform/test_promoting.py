"""What others are served: a promoted checkpoint without a failed call, and the one before it."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from roundsmith.clients import GeneratorClient
from roundsmith.clients.channels import open_channel
from roundsmith.errors import ConfigError, StoreError
from roundsmith.hashing import weights_sha256
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.promoting import (
    Promoted,
    after_round,
    promote,
    read_history,
    take_back,
)
from roundsmith.platform.promotion_job import promotion_job
from roundsmith.report.summary import Summary, to_json
from roundsmith.types import GenerateItem, Sampling
from tests.pipelines.platform.clusters import cluster, described
from tests.pipelines.platform.loopback import Answering, kubeconfig, listening
from tests.pipelines.report.rounds import RESULT, SUMMARY
from tests.services.conftest import make_model
from tests.services.generator.conftest import HEAD_DIM
from tests.services.generator.serving import GeneratorProcess, client_of


def installed(storage: Path, **serve: Any) -> ClusterConfig:
    """A cluster that serves promoted weights as `serve` says."""
    told = {"storage": str(storage), "serve": {**serve, "history": f"{storage}/promoted"}}
    return ClusterConfig.model_validate(described() | told)


def round_with(sha256: str, *, promoted: bool = True) -> Summary:
    """A round's summary that names this checkpoint."""
    return replace(SUMMARY, result=replace(RESULT, promoted=promoted, checkpoint_sha256=sha256))


@pytest.mark.slow
def test_a_promotion_and_its_taking_back_cost_no_call(tmp_path: Path) -> None:
    storage, model = tmp_path / "storage", make_model(tmp_path / "base", seed=1, head_dim=HEAD_DIM)
    other = make_model(tmp_path / "other", seed=2, head_dim=HEAD_DIM)
    versions = [weights_sha256(folder) for folder in (model, other)]
    for folder, sha256 in zip((model, other), versions, strict=True):
        shutil.copytree(folder, storage / "checkpoints" / sha256)
    root = ("--storage-root", str(storage / "checkpoints"))
    process = GeneratorProcess(tmp_path / "serve", "--model", str(model), "--slots", "2", *root)

    async def scenario() -> list[str]:
        await process.ready()
        where = {"endpoint": process.address, "admin": process.admin}
        cluster = installed(storage, runtime="roundsmith", **where)
        async with client_of(process.address) as client:
            seen: list[str] = []
            calling = asyncio.create_task(_call(client, seen))
            await _until(lambda: len(seen) > 2)
            done = await asyncio.to_thread(promote, cluster, round_with(versions[1]), "round 1")
            assert done == Promoted(
                f"{storage}/checkpoints/{versions[1]}", versions[1], "round 1", 1
            )
            await _until(lambda: seen[-1] == versions[1])
            again = await asyncio.to_thread(promote, cluster, round_with(versions[1]), "round 1")
            assert again == done
            history = read_history(cluster)
            assert [one.sha256 for one in history] == versions
            back = await asyncio.to_thread(take_back, cluster)
            assert back.sha256 == versions[0]
            await _until(lambda: seen[-1] == versions[0])
            assert read_history(cluster) == history[:1]
            await _serve_unwritten(process.admin, done)
            back = await asyncio.to_thread(take_back, cluster)
            assert back.sha256 == (await client.model()).weights_sha256 == versions[0]
            await asyncio.to_thread(promote, cluster, round_with(versions[1]), "round 1")
            kept = (storage / "checkpoints" / versions[0]).rename(tmp_path / "away")
            with pytest.raises(ConfigError, match=versions[0]):
                await asyncio.to_thread(take_back, cluster)
            kept_line = [one.sha256 for one in read_history(cluster)]
            assert kept_line == versions, "what is gone is not told as served"
            assert (await client.model()).weights_sha256 == versions[1]
            kept.rename(storage / "checkpoints" / versions[0])
            both = [
                asyncio.to_thread(promote, cluster, round_with(sha256), f"run {sha256[:4]}")
                for sha256 in versions * 2
            ]
            told = {(one.sha256, one.before) for one in await asyncio.gather(*both)}
            latest = max(told, key=lambda one: one[1])[0]
            assert read_history(cluster)[-1].sha256 == latest
            await _until(lambda: seen[-1] == latest)
            calling.cancel()
            await asyncio.wait([calling])
            assert calling.cancelled(), calling.exception()
            return seen

    try:
        seen = asyncio.run(scenario())
    finally:
        process.terminate()
    turns = [a for a, b in zip(seen, [*seen[1:], ""], strict=True) if a != b]
    assert turns[:3] == [versions[0], versions[1], versions[0]]


async def _serve_unwritten(admin: str, entry: Promoted) -> None:
    """As a promotion leaves it that is killed before it is written down."""
    async with open_channel(admin) as channel:
        await GeneratorClient(channel, channel).reload(entry.uri, entry.sha256)


async def _call(client: Any, seen: list[str]) -> None:
    for number in range(1_000_000):
        item = GenerateItem(str(number), (5, 6, 7), Sampling(4, temperature=0.0), 0)
        seen.append((await client.generate(item))[0].weights_sha256)


async def _until(holds: Any) -> None:
    async with asyncio.timeout(300):
        while not holds():
            await asyncio.sleep(0.02)


def test_what_the_gate_did_not_promote_is_not_served(tmp_path: Path) -> None:
    cluster = installed(tmp_path, runtime="roundsmith", endpoint="127.0.0.1:1", admin="127.0.0.1:1")
    with pytest.raises(ConfigError, match="expected a round whose checkpoint the gate promoted"):
        promote(cluster, round_with("0" * 64, promoted=False), "round 1")
    assert not (tmp_path / "promoted").exists()


def test_without_a_second_generator_nothing_is_promoted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"install it with serve\.enabled=true"):
        promote(installed(tmp_path), round_with("0" * 64), "round 1")


def test_a_round_that_is_told_again_takes_nothing_newer_away(tmp_path: Path) -> None:
    cluster = installed(tmp_path, runtime="roundsmith", endpoint="127.0.0.1:1", admin="127.0.0.1:1")
    folder = tmp_path / "runs/first/round-1"
    for path in (folder, tmp_path / "promoted"):
        path.mkdir(parents=True)
    (folder / "summary.json").write_text(to_json(round_with("1" * 64)))
    entries = (Promoted("a", "1" * 64, str(folder)), Promoted("b", "2" * 64, "round 2", 1))
    for number, entry in enumerate(entries, 1):
        file = tmp_path / f"promoted/{number:08}.json"
        file.write_text(json.dumps(asdict(entry)))
    assert after_round(cluster, str(folder)) is None
    assert read_history(cluster) == list(entries)


def test_there_must_be_something_to_go_back_to(tmp_path: Path) -> None:
    cluster = installed(tmp_path, runtime="roundsmith", endpoint="127.0.0.1:1", admin="127.0.0.1:1")
    with pytest.raises(ConfigError, match="saw 0 promotions"):
        take_back(cluster)
    entry = tmp_path / "promoted/00000001.json"
    entry.parent.mkdir(exist_ok=True)
    entry.write_text('{"uri": "s3://b", "sha256": "", "origin": "the installation"}')
    with pytest.raises(ConfigError, match="saw 1 promotions"):
        take_back(cluster)
    entry.write_text('{"a"')
    with pytest.raises(StoreError, match="expected a promoted checkpoint"):
        take_back(cluster)


PROGRAM = """
import sys
from pathlib import Path
from roundsmith.platform.promoting import promote, take_back
from tests.pipelines.platform.test_promoting import installed, round_with
cluster = installed(Path(sys.argv[1]), runtime="stock", inference_service="r-serve")
"""
"""What a process begins with that serves by the KServe of its kubeconfig."""
STORED = (Promoted("s3://b/base", "", "begun"), Promoted("s3://b/good", "1" * 64, "r", 1))


class KServe:
    """One service, which is ready for whatever it is told. `beside` is done while the next caller
    looks at it.
    """

    def __init__(self, uri: str, beside: Callable[[], object] = lambda: None) -> None:
        self.uri, self.changes, self.beside = uri, 1, beside

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers in the place of its API server."""
        told = self

        class Server(Answering):
            """Knows the service and its pod."""

            def do_GET(self) -> None:
                ready = [{"type": "Ready", "status": "True"}]
                if "/pods" in self.path:
                    self.answer(200, {"items": [{"metadata": {}, "status": {"conditions": ready}}]})
                    return
                beside, told.beside = told.beside, lambda: None
                beside()
                model = {"model": {"storageUri": told.uri}}
                status = {"observedGeneration": told.changes, "conditions": ready}
                self.answer(200, {"metadata": {}, "spec": {"predictor": model}, "status": status})

            def do_PATCH(self) -> None:
                change = json.loads(self.sent())
                told.uri = change["spec"]["predictor"]["model"]["storageUri"]
                told.changes += 1
                self.do_GET()

        return Server


def run_beside(kserve: KServe, storage: Path, work: str) -> list[str]:
    """The words that a process printed which did this work."""
    with listening(kserve.handler()) as url:
        config = kubeconfig(storage, url)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM + work, str(storage)],
            env={**os.environ, "KUBECONFIG": str(config)},
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def write(storage: Path, number: int, entry: Promoted) -> None:
    """An entry, as whoever promoted it left it."""
    (storage / "promoted").mkdir(exist_ok=True)
    (storage / f"promoted/{number:08}.json").write_text(json.dumps(asdict(entry)))


def test_a_promotion_that_kserve_could_not_roll_out_is_taken_back_first(tmp_path: Path) -> None:
    for number, entry in enumerate(STORED, 1):
        write(tmp_path, number, entry)
    kserve = KServe("s3://b/broken")
    back = "print(take_back(cluster).uri, take_back(cluster).uri)"
    assert run_beside(kserve, tmp_path, back) == ["s3://b/good", "s3://b/base"]
    assert kserve.uri == "s3://b/base"


def test_what_is_promoted_again_beside_another_promotion_is_in_one_order_with_it(
    tmp_path: Path,
) -> None:
    for number, entry in enumerate(STORED, 1):
        write(tmp_path, number, entry)

    def promote_another() -> None:
        write(tmp_path, 3, Promoted("s3://b/other", "2" * 64, "another", 2))
        kserve.uri = "s3://b/other"

    kserve = KServe("s3://b/good", promote_another)
    run_beside(kserve, tmp_path, 'promote(cluster, round_with("1" * 64), "r")')
    [*_, before, last] = read_history(installed(tmp_path, runtime="stock"))
    assert kserve.uri == last.uri, "what is served is what is told last"
    assert before.uri == "s3://b/other"
    back = "print(take_back(cluster).uri)"
    assert run_beside(kserve, tmp_path, back) == ["s3://b/other"]


def test_a_promotion_waits_in_the_queue_of_the_installations_jobs() -> None:
    job = promotion_job(cluster({"queue": "gpus", "priority_class": "high"}), "r", ["--back"], {})
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert job["spec"]["template"]["spec"]["priorityClassName"] == "high"
