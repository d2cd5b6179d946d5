"""Whoever is served notices neither a promotion nor that it is taken back, but for the weights."""

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file, save_file

from roundsmith.hashing import weights_sha256
from roundsmith.report.summary import to_json
from tests.cluster.caller import calling, said
from tests.cluster.conftest import Installed
from tests.cluster.test_round import storage
from tests.cluster.world import BIN, NAMESPACE, RELEASE, ROOT, Cluster
from tests.pipelines.report.rounds import RESULT, SUMMARY

CALLS = """
import asyncio, itertools, pathlib, grpc
from roundsmith.clients import GeneratorClient, StreamSettings
from roundsmith.clients.channels import open_channel
from roundsmith.errors import RoundsmithError
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.types import GenerateItem, Sampling
from roundsmith.v1 import generator_pb2, generator_pb2_grpc
from roundsmith.wire import to_message

cluster = ClusterConfig.read(pathlib.Path("/etc/roundsmith/cluster.json"))

def item(number):
    return GenerateItem(str(number), "def double(x):", Sampling(24), number)

async def stream(channel, name, numbers):
    client = GeneratorClient(channel, settings=StreamSettings(give_up_s=600))
    for number in numbers:
        print(name, (await client.generate(item(number)))[0].weights_sha256, flush=True)

async def call(channel, name, numbers):
    stub = generator_pb2_grpc.GeneratorServiceStub(channel)
    for number in numbers:
        request = generator_pb2.GenerateRequest(request_id="calls", item=to_message(item(number)))
        answer = await stub.Generate(request, timeout=240)
        print(name, answer.completions[0].weights_sha256, flush=True)

async def main():
    async with open_channel(cluster.serve.endpoint) as channel:
        works = {"stream-0": stream, "stream-1": stream, "call-2": call, "call-3": call}
        numbers = (itertools.count(lane, len(works)) for lane in range(len(works)))
        try:
            lanes = zip(works.items(), numbers)
            await asyncio.gather(*(work(channel, name, lane) for (name, work), lane in lanes))
        except (RoundsmithError, grpc.aio.AioRpcError) as error:
            print("FAILED", repr(error), flush=True)

asyncio.run(main())
"""
"""Calls what is served without a pause, by our client and by calls that nobody repeats."""
WAYS = ("stream-0", "stream-1", "call-2", "call-3")
ROUND = "loaded"


def promoted(installed: Installed, folder: Path) -> str:
    """A round in the storage that began with the model that is served, and whose checkpoint the
    gate promoted; the version of its weights.
    """
    files, root = storage(), installed.cluster.storage
    base = ROOT / "pipelines/roundsmith/lab/model"
    shutil.copytree(base, folder)
    file = folder / "model.safetensors"
    save_file({name: 1.01 * kept for name, kept in load_file(file).items()}, file, {"format": "pt"})
    for model in (base, folder):
        files.put(f"{model}/", f"{root}/checkpoints/{weights_sha256(model)}/", recursive=True)
    version = weights_sha256(folder)
    result = replace(RESULT, promoted=True, checkpoint_sha256=version)
    summary = to_json(replace(SUMMARY, result=result)).encode()
    files.pipe_file(f"{root}/runs/{ROUND}/round-1/summary.json", summary)
    return version


def test_a_promotion_and_its_taking_back_cost_no_call_under_load(
    installed: Installed, tmp_path: Path
) -> None:
    cluster = installed.cluster
    version = promoted(installed, tmp_path / "other")
    command = (BIN / "roundsmith", "promote", "--namespace", NAMESPACE, "--release", RELEASE)

    def until(holds: Callable[[list[tuple[str, str]]], bool]) -> list[tuple[str, str]]:
        """What was told, by its way and weights, as soon as it is so."""
        end = time.monotonic() + 1200
        while not holds(told := answers(cluster)):
            assert time.monotonic() < end, told[-20:]
            time.sleep(0.5)
        return told

    with calling(cluster, CALLS):
        begun = until(lambda told: {way for way, _ in told} == set(WAYS))[0][1]
        assert begun != version
        cluster.run(*command, ROUND, "--round", "1")
        until(lambda told: {(way, version) for way in WAYS} <= set(told))
        cluster.run(*command, "--back")
        seen = len(answers(cluster))
        told = until(lambda told: {(way, begun) for way in WAYS} <= set(told[seen:]))
    assert [way for way, _ in told if way == "FAILED"] == []
    for way in WAYS:
        found = [weights for by, weights in told if by == way]
        turns = [a for a, b in zip(found, [*found[1:], ""], strict=True) if a != b]
        assert turns == [begun, version, begun], f"{way}: of one checkpoint or of the other"


def answers(cluster: Cluster) -> list[tuple[str, str]]:
    """The way and the weights of each answer, and whether one failed: not what libraries print."""
    lines = [line.split() for line in said(cluster) if line.startswith((*WAYS, "FAILED"))]
    return [(way, what) for way, what, *_ in lines]
