"""Programs that take more memory than they may (cases 11 to 20)."""

from dataclasses import replace

import pytest

from roundsmith.types import CallTest, ExecuteItem, Limits, Program
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import ALSO_FROM_PYTHON, Box

pytestmark = pytest.mark.places(*ALSO_FROM_PYTHON)

SMALL = Limits(cpu_s=2.0, memory_bytes=32 * 2**20, file_bytes=2**20)
SMALL_MANY = Limits(cpu_s=2.0, memory_bytes=32 * 2**20, file_bytes=2**20, processes=8)


def test_case_11_one_huge_bytearray_is_memory(box: Box) -> None:
    assert box.call("def f():\n    bytearray(2 ** 30)\n", limits=SMALL).verdict is Verdict.MEMORY


def test_case_12_a_slow_leak_of_small_objects_is_memory(box: Box) -> None:
    source = "def f():\n    kept = []\n    while True: kept.append([len(kept)])\n"
    patient = replace(SMALL, cpu_s=20.0)  # gVisor counts what it waits for a core, too
    assert box.call(source, limits=patient).verdict is Verdict.MEMORY


def test_case_13_an_anonymous_mapping_is_refused(box: Box) -> None:
    source = "import mmap\ndef f():\n    mmap.mmap(-1, 2 ** 30, mmap.MAP_PRIVATE)\n"
    assert box.call(source, limits=SMALL).verdict is Verdict.MEMORY


def test_case_14_shared_memory_is_refused_sparse_or_dense(box: Box) -> None:
    source = "import mmap\ndef f():\n    mmap.mmap(-1, 2 ** 30, mmap.MAP_SHARED)\n"
    assert box.call(source, limits=SMALL).verdict is Verdict.MEMORY
    source = "import os\ndef f():\n    os.open('/dev/shm/x', os.O_CREAT | os.O_RDWR)\n"
    # T2 has no /dev/shm, T1 no right on it.
    wanted = Verdict.ERROR if box.place == "T2" else Verdict.DENIED
    assert box.call(source, limits=SMALL).verdict is wanted
    box.refuses("shmget shmat shmctl")


def test_case_15_memory_files_are_denied(box: Box) -> None:
    box.refuses("memfd_create memfd_secret")


def test_case_15_filling_the_runs_directory_is_bounded_at_t2_and_only_cleared_at_t1(
    box: Box,
) -> None:
    source = """
def f():
    for at in range(16):
        with open(str(at), 'wb') as stream: stream.write(bytes(2 ** 19))
    return True
"""
    # At T2 the directory is a tmpfs of twice the file limit. At T1 a file is bounded, their number
    # is not: what bounds the sum is the size of the volume.
    wanted = Verdict.FILE_LIMIT if box.place == "T2" else Verdict.PASS
    assert box.call(source, limits=SMALL).verdict is wanted
    assert box.call("import os\ndef f():\n    return os.listdir('.')\n", []).verdict is Verdict.PASS


def test_case_16_hoarding_pipes_ends_at_the_descriptor_limit(box: Box) -> None:
    outcome = box.call("import os\ndef f():\n    while True: os.pipe()\n")
    assert outcome.verdict is Verdict.ERROR
    assert "Too many open files" in outcome.detail


def test_case_16_hoarding_pairs_of_sockets_ends_at_the_descriptor_limit_and_at_their_buffers(
    box: Box,
) -> None:
    source = """
import socket
def f():
    held, most = [], 0
    try:
        while True:
            held.extend(socket.socketpair())
    except OSError as error:
        why = error.strerror
    for one in held:
        one.setblocking(False)
        try:
            while True: most += one.send(bytes(2 ** 16))
        except BlockingIOError: pass
    try: held[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 ** 30)
    except PermissionError: return why, len(held) <= 60, most <= 60 * 2 ** 18
"""
    wanted = ("Too many open files", True, True)
    assert box.call(source, wanted).verdict is Verdict.PASS
    box.refuses("socket setsockopt")


def test_case_17_deep_recursion_with_a_raised_limit_never_hangs_or_passes(box: Box) -> None:
    source = """
import sys
def f(n=0):
    sys.setrecursionlimit(10 ** 8)
    return f(n + 1) + 1
"""
    # CPython 3.11 answers a failed frame allocation with a SystemError that has no MemoryError.
    allowed = (Verdict.MEMORY, Verdict.ERROR, Verdict.SIGNALED, Verdict.CPU_TIMEOUT, Verdict.FLAKY)
    # On a busy machine, in gVisor above all, its two runs may meet one limit each: that is FLAKY.
    assert box.call(source, limits=SMALL).verdict in allowed


def test_recursion_without_a_raised_limit_is_an_ordinary_error(box: Box) -> None:
    outcome = box.call("def f():\n    return f()\n")
    assert outcome.verdict is Verdict.ERROR
    assert "RecursionError" in outcome.detail


def test_case_18_an_overflow_of_the_c_stack_ends_this_program_only(box: Box) -> None:
    source = """
import gc
def f():
    gc.disable()
    nested = ()
    for _ in range(3 * 10 ** 6): nested = (nested,)
    return hash(nested)
"""
    limits = Limits(cpu_s=20.0, memory_bytes=256 * 2**20)  # in gVisor waiting counts, too
    assert box.call(source, limits=limits).verdict is Verdict.SIGNALED
    assert box.call("def f():\n    return True\n").verdict is Verdict.PASS


def test_case_19_children_share_no_limit_so_by_default_there_are_none(box: Box) -> None:
    source = """
import os
def f():
    pid = os.fork()
    kept = bytearray(20 * 2 ** 20)
    if not pid: os._exit(0)
    return os.waitpid(pid, 0)[1] == 0
"""
    assert box.call(source, limits=SMALL).verdict is Verdict.PROCESS_LIMIT
    # With more processes the limit is each one's: together they may take `processes` times it.
    wanted = box.if_it_may_fork(Verdict.PASS)
    assert box.call(source, limits=SMALL_MANY).verdict is wanted


@pytest.mark.parametrize("hungry", ["return bytearray(2 ** 40)", "kept = [bytearray(2 ** 30)] * 9"])
def test_case_20_a_program_out_of_memory_does_not_disturb_its_neighbours(
    box: Box, hungry: str
) -> None:
    programs = [Program(f"honest{at}", "def f():\n    return 1\n") for at in range(8)]
    programs[4:4] = [Program(name, f"def f():\n    {hungry}\n") for name in ("h1", "h2")]
    pids = box.supervisor_pids
    outcomes = box.matrix(
        ExecuteItem("i", tuple(programs), (CallTest("t", "f", (), 1),), limits=SMALL)
    )
    verdicts = {outcome.code_id: outcome.verdict for outcome in outcomes}
    assert verdicts.pop("h1") is verdicts.pop("h2") is Verdict.MEMORY
    assert set(verdicts.values()) == {Verdict.PASS}
    assert box.supervisor_pids == pids
