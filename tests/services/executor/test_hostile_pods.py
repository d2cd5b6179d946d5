"""What a pod that lies can do to the executor server: lose its own runs, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest

from roundsmith.errors import SandboxError
from roundsmith.executor import probe
from roundsmith.executor.admission import Admission
from roundsmith.executor.pod_supervisors import PodSupervisors
from roundsmith.executor.promises import promises
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.executor.supervisor import Slot, Supervisor, SupervisorLost
from roundsmith.sandbox.boot import image
from roundsmith.sandbox.codec import HEADER, encode
from roundsmith.sandbox.events import pack_events
from roundsmith.sandbox.runs import Run
from roundsmith.sandbox.starting import Told
from roundsmith.v1 import sandbox_pb2 as pb2
from roundsmith.v1 import sandbox_pb2_grpc

STARTED = pb2.StartedSupervisor(image=image(), sandbox_id="s", pid=7, max_content_bytes=2**20)
OLD = pb2.StartedSupervisor(
    image="python-3.11.7-sandbox-1", sandbox_id="s", pid=7, max_content_bytes=2**20
)
READY = Told(True, "", [], [], "", ["base"], {}).pack()
LOADED = (-1, "answer", "", encode(None), 0.0, 0.0)
PASSED = (0, "answer", "", encode(1), 0.0, 0.0)
NUM_PROMISES = len(promises(7))
BATCH = pack_events(True, [PASSED])
RUN = Run(
    "solution", "", "", b"", ((b"C", b""), (b"C", b"")), 1.0, 1.0, 2.0, 2**20, 2**10, 2**10, 1
)


class Pod(sandbox_pb2_grpc.SandboxServiceServicer):
    """A worker that answers every supervisor's stream with given bytes, then waits."""

    def __init__(self, content: bytes, started: pb2.StartedSupervisor = STARTED) -> None:
        self._content, self._started = content, started

    async def Attach(
        self, requests: AsyncIterator[pb2.AttachRequest], context: Any
    ) -> AsyncIterator[pb2.AttachResponse]:
        yield pb2.AttachResponse(started=self._started)
        for at in range(0, len(self._content), 5):
            yield pb2.AttachResponse(content=self._content[at : at + 5])
        async for _ in requests:
            continue


def framed(*frames: bytes) -> bytes:
    return b"".join(HEADER.pack(len(frame)) + frame for frame in frames)


SLOT = Slot(0, False, 1)


@asynccontextmanager
async def supervisors_of(*pods: Pod) -> AsyncIterator[PodSupervisors]:
    """What starts supervisors in these pods."""
    ports = []
    async with AsyncExitStack() as stack:
        for pod in pods:
            server = grpc.aio.server()
            sandbox_pb2_grpc.add_SandboxServiceServicer_to_server(pod, server)
            ports.append(server.add_insecure_port("127.0.0.1:0"))
            await server.start()
            stack.push_async_callback(server.stop, None)
        targets = ",".join(f"127.0.0.1:{port}" for port in ports)
        supervisors = PodSupervisors(ExecutorSettings(pool="pods", sandboxes=targets, attach_s=0.5))
        stack.push_async_callback(supervisors.close)
        yield supervisors


def against(pod: Pod, work: Callable[[Supervisor], Awaitable[None]]) -> None:
    async def main() -> None:
        async with supervisors_of(pod) as supervisors:
            await work(await Supervisor.on(await supervisors.open(SLOT), SLOT))

    asyncio.run(main())


async def run(supervisor: Supervisor) -> None:
    async for _ in supervisor.run(RUN):
        continue


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (HEADER.pack(2**32 - 1), "announced 4294967295 bytes"),
        (framed(b""), "events that are none"),
        (framed(b"\xff"), "events that are none"),
        (framed(BATCH[:-1]), "expected as many as announced"),
        (framed(BATCH + b"\0"), "expected as many as announced"),
        (framed(BATCH[:4] + b"\2" + BATCH[5:]), "events that are none"),
        (framed(BATCH[:1] + b"\xff" + BATCH[2:]), "events that are none"),
        (framed(BATCH[:9] + b"\xff" + BATCH[10:]), "events that are none"),
        (framed(pack_events(True, [(0, "exit", "x\ud800", b"", 0.0, 0.0)])[:-1] + b"\xff"), "none"),
        (framed(pack_events(True, [])), "before anything was decided"),
        (framed(pack_events(True, [LOADED])), "before anything was decided"),
        (framed(pack_events(True, [PASSED, PASSED])), "cell 0 after cell 0"),
        (framed(pack_events(True, [PASSED, LOADED])), "cell -1 after cell 0"),
        (framed(pack_events(True, [(2, *PASSED[1:])])), "cell 2 after cell -2"),
        (framed(pack_events(True, [(*PASSED[:5], float("inf"))])), "took"),
        (framed(pack_events(True, [(*PASSED[:5], float("nan"))])), "took"),
        (framed(pack_events(True, [(*PASSED[:4], -1.0, 0.0)])), "took"),
    ],
)
def test_case_95_what_is_no_batch_of_events_loses_the_supervisor(answer: bytes, said: str) -> None:
    async def lost(supervisor: Supervisor) -> None:
        with pytest.raises(SupervisorLost, match=said):
            await run(supervisor)
        assert not supervisor.idle

    against(Pod(framed(READY) + answer), lost)


REFUSED = ["refused: "] * 100
ALIKE = {"computing": "0"}


@pytest.mark.parametrize(
    "answers",
    [
        (5, ALIKE, None),
        (REFUSED, ALIKE, None),
        ([5] * NUM_PROMISES, ALIKE, None),
        (REFUSED[:NUM_PROMISES], 5, None),
        (REFUSED[:NUM_PROMISES], {"computing": 5}, None),
        (REFUSED[:NUM_PROMISES], {5: "0"}, None),
        (REFUSED[:NUM_PROMISES],),
    ],
)
def test_case_95_what_is_no_answer_of_a_canary_fails_the_sandbox_and_nothing_else(
    answers: tuple[object, ...],
) -> None:
    events = [(at, "answer", "", encode(said), 0.0, 0.0) for at, said in enumerate(answers)]

    async def refused(supervisor: Supervisor) -> None:
        with pytest.raises(SandboxError, match="what a canary answered is none"):
            await probe.probe(supervisor, False)

    against(Pod(framed(READY, pack_events(True, [LOADED, *events]))), refused)


def test_a_sandbox_that_leaves_out_what_it_computes_is_told_from_others() -> None:
    answers: tuple[object, ...] = (REFUSED[:NUM_PROMISES], {}, None)
    events = [(at, "answer", "", encode(said), 0.0, 0.0) for at, said in enumerate(answers)]
    threads = pack_events(True, [LOADED, (0, "answer", "", encode(1), 0.0, 0.0)])

    async def admitted(supervisor: Supervisor) -> None:
        admission = Admission("T1")
        admission._computed_by_image[image()] = "0"
        with pytest.raises(SandboxError, match="a fixed computation gave nothing"):
            await admission.admit(supervisor)

    against(Pod(framed(READY, pack_events(True, [LOADED, *events]), threads)), admitted)


def test_events_in_any_cut_are_read() -> None:
    async def whole(supervisor: Supervisor) -> None:
        assert [found async for found in supervisor.run(RUN)] == [[LOADED], [PASSED]]
        assert supervisor.idle

    against(Pod(framed(READY, pack_events(False, [LOADED]), pack_events(True, [PASSED]))), whole)


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (Pod(b"", pb2.StartedSupervisor()), "did not say what it started"),
        (Pod(framed(b"junk")), "did not start"),
        (Pod(framed(encode((False, "no Landlock", [], [], "", [], {})))), "no Landlock"),
        (Pod(HEADER.pack(2**31)), "announced"),
        (Pod(framed(encode((True, "", [], [], 5, ["base"], {})))), "no text"),
        (Pod(framed(encode((True, "", [], [], "", [5], {})))), "no text"),
        (Pod(framed(encode((True, "", [], [], "", [], [])))), "did not start"),
        (Pod(framed(encode((True, "", [], [5], "", [], {})))), "no text"),
        (Pod(framed(READY), OLD), "saw .*: a sandbox of version 1 .*expected 2: run"),
    ],
    ids=[
        "unsaid",
        "junk",
        "refused",
        "flood",
        "kernel",
        "profiles",
        "missing",
        "namespaces",
        "version",
    ],
)
def test_a_supervisor_that_is_not_ready_is_not_used(pod: Pod, said: str) -> None:
    async def never(supervisor: Supervisor) -> None:
        raise AssertionError("it was taken for ready")

    with pytest.raises(SandboxError, match=said):
        against(pod, never)


@pytest.mark.parametrize("old_first", [True, False])
def test_beside_a_pod_of_another_release_only_those_of_ones_own_are_used(old_first: bool) -> None:
    own = pb2.StartedSupervisor(image=image(), sandbox_id="own", pid=7, max_content_bytes=2**20)
    old, good = Pod(framed(READY), OLD), Pod(framed(READY), own)

    async def main() -> None:
        async with supervisors_of(*((old, good) if old_first else (good, old))) as supervisors:
            for _ in range(4):
                supervisor = await Supervisor.on(await supervisors.open(SLOT), SLOT)
                assert supervisor.started.sandbox_id == "own"

    asyncio.run(main())
