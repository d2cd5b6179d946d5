"""Programs that take more memory, files or output than they may (cases 11-20, 30-40, 57-62)."""

from typing import TYPE_CHECKING

import pytest

from roundsmith.types import CallTest, ExecuteItem, Limits, Program
from roundsmith.verdicts import Verdict

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box

SMALL = Limits(cpu_s=2.0, memory_bytes=64 * 2**20, file_bytes=2**20)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("case_11_bytearray", "bytearray(2 ** 30)"),
        ("case_12_slow_leak", "kept = []\n    while True: kept.append(bytearray(4096))"),
    ],
)
def test_memory_over_the_limit_is_memory(box: "Box", name: str, body: str) -> None:
    assert box.call(f"def f():\n    {body}\n", limits=SMALL).verdict is Verdict.MEMORY, name


def test_case_17_deep_recursion_with_a_raised_limit_never_hangs_or_passes(box: "Box") -> None:
    source = """
import sys
def f(n=0):
    sys.setrecursionlimit(10 ** 8)
    return f(n + 1) + 1
"""
    # CPython 3.11 answers a failed frame allocation with a SystemError that has no MemoryError.
    allowed = (Verdict.MEMORY, Verdict.ERROR, Verdict.SIGNALED)
    assert box.call(source, limits=SMALL).verdict in allowed


def test_case_13_anonymous_mapping_is_refused(box: "Box") -> None:
    source = "import mmap\ndef f():\n    mmap.mmap(-1, 2 ** 30)\n"
    assert box.call(source, limits=SMALL).verdict is Verdict.MEMORY


def test_case_15_memory_files_are_denied(box: "Box") -> None:
    assert box.call("import os\ndef f():\n    os.memfd_create('x')\n").verdict is Verdict.DENIED


def test_case_16_hoarding_pipes_ends_at_the_descriptor_limit(box: "Box") -> None:
    outcome = box.call("import os\ndef f():\n    while True: os.pipe()\n")
    assert outcome.verdict is Verdict.ERROR
    assert "Too many open files" in outcome.detail


def test_recursion_without_a_raised_limit_is_an_ordinary_error(box: "Box") -> None:
    outcome = box.call("def f():\n    return f()\n")
    assert outcome.verdict is Verdict.ERROR
    assert "RecursionError" in outcome.detail


def test_case_20_a_program_out_of_memory_does_not_disturb_its_neighbours(box: "Box") -> None:
    hungry = Program("hungry", "def f():\n    return bytearray(2 ** 40)\n")
    honest = tuple(Program(f"honest{at}", "def f():\n    return 1\n") for at in range(8))
    outcomes = box.matrix(
        ExecuteItem(
            "i",
            (*honest, hungry, hungry.__class__("h2", hungry.source)),
            (CallTest("t", "f", (), 1),),
            limits=SMALL,
        )
    )
    verdicts = {outcome.code_id: outcome.verdict for outcome in outcomes}
    assert verdicts.pop("hungry") is verdicts.pop("h2") is Verdict.MEMORY
    assert set(verdicts.values()) == {Verdict.PASS}


@pytest.mark.parametrize(
    "path", ["/etc/shadow", "/etc/passwd", "/root/.ssh/id_rsa", "/proc/1/environ", "/tmp"]
)
def test_case_30_secrets_are_out_of_reach(box: "Box", path: str) -> None:
    source = (
        f"import os\ndef f():\n"
        f"    return os.listdir({path!r}) if os.path.isdir({path!r}) else open({path!r}).read()\n"
    )
    assert box.call(source).verdict in (Verdict.DENIED, Verdict.ERROR)


@pytest.mark.parametrize("path", ["/tmp/x", "/x", "../x", "/dev/shm/x", "/var/tmp/x", "../../x"])
def test_case_31_nothing_outside_the_box_can_be_written(box: "Box", path: str) -> None:
    assert box.call(f"def f():\n    open({path!r}, 'w')\n").verdict in (
        Verdict.DENIED,
        Verdict.ERROR,
    )


def test_case_31_the_box_itself_can_be_written(box: "Box") -> None:
    source = (
        "import os\ndef f():\n    open('x', 'w').write('hi')\n"
        "    os.mkdir('d')\n    os.rename('x', 'y')\n"
        "    return open('y').read()\n"
    )
    assert box.call(source, "hi").verdict is Verdict.PASS


def test_case_32_links_are_refused(box: "Box") -> None:
    assert (
        box.call("import os\ndef f():\n    os.symlink('/etc/passwd', 'x')\n").verdict
        is Verdict.DENIED
    )


def test_case_33_special_files_are_refused(box: "Box") -> None:
    assert box.call("import os\ndef f():\n    os.mkfifo('x')\n").verdict is Verdict.DENIED


@pytest.mark.parametrize(
    "body",
    [
        "open('x', 'wb').write(bytes(2 ** 22))",
        "open('x', 'wb').truncate(2 ** 50)",
        "import os\n    os.posix_fallocate(os.open('x', os.O_CREAT | os.O_RDWR), 0, 2 ** 40)",
    ],
)
def test_case_34_large_files_hit_the_file_limit(box: "Box", body: str) -> None:
    assert box.call(f"def f():\n    {body}\n", limits=SMALL).verdict is Verdict.FILE_LIMIT


def test_case_35_deep_directories_leave_nothing_behind(box: "Box") -> None:
    source = (
        "import os\ndef f():\n    for _ in range(900):\n        os.mkdir('d')\n"
        "        os.chdir('d')\n    return True\n"
    )
    assert box.call(source).verdict is Verdict.PASS
    assert box.call("import os\ndef f():\n    return os.listdir('.')\n", []).verdict is Verdict.PASS


def test_case_36_odd_file_names_leave_nothing_behind(box: "Box") -> None:
    source = (
        "def f():\n    for name in (b'\\xff', b'a\\nb', b'-rf', b'\\x01'):\n"
        "        open(name, 'w').close()\n    return True\n"
    )
    assert box.call(source).verdict is Verdict.PASS
    assert box.call("import os\ndef f():\n    return os.listdir('.')\n", []).verdict is Verdict.PASS


def test_case_37_the_runtime_can_not_be_poisoned(box: "Box") -> None:
    source = (
        "import os\ndef f():\n    open(os.path.dirname(os.__file__) + '/sitecustomize.py', 'w')\n"
    )
    assert box.call(source).verdict is Verdict.DENIED


def test_case_38_files_of_one_run_are_gone_in_the_next(box: "Box") -> None:
    for _ in range(4):
        source = (
            "import os\ndef f():\n    seen = os.listdir('.')\n"
            "    open('left', 'w').close()\n    return seen\n"
        )
        assert box.call(source, []).verdict is Verdict.PASS


def test_case_39_no_descriptor_is_inherited(box: "Box") -> None:
    source = """
import os
def f():
    found = []
    for fd in range(1024):
        try:
            os.fstat(fd)
            found.append(fd)
        except OSError: pass
    return found
"""
    assert box.call(source, [0, 1, 2, 3]).verdict is Verdict.PASS


def test_a_program_that_closes_its_own_directory_harms_no_other(box: "Box") -> None:
    closing = "import os\ndef f():\n    os.mkdir('d')\n    os.chmod('.', 0)\n    return True\n"
    writing = "def f():\n    return open('a', 'w').write('x')\n"
    for _ in range(3):
        assert box.call(closing).verdict is Verdict.PASS
        assert box.call(writing, 1).verdict is Verdict.PASS


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_case_57_and_58_floods_hit_the_output_limit(box: "Box", stream: str) -> None:
    source = f"import sys\ndef f():\n    while True: sys.{stream}.write('x' * 4096)\n"
    assert box.call(source).verdict is Verdict.OUTPUT_LIMIT


def test_case_59_one_huge_line_hits_the_output_limit(box: "Box") -> None:
    assert box.call("def f():\n    print('x' * 10 ** 7)\n").verdict is Verdict.OUTPUT_LIMIT


@pytest.mark.parametrize(
    ("size", "verdict"), [(999, Verdict.PASS), (1000, Verdict.PASS), (1001, Verdict.OUTPUT_LIMIT)]
)
def test_case_61_output_may_be_as_large_as_the_limit(
    box: "Box", size: int, verdict: Verdict
) -> None:
    source = f"import os\ndef f():\n    os.write(1, b'x' * {size})\n    return True\n"
    assert box.call(source, limits=Limits(output_bytes=1000)).verdict is verdict


def test_case_60_odd_bytes_on_output_are_only_bytes(box: "Box") -> None:
    outcome = box.script("import os\nos.write(1, b'\\xff\\x00\\x1b[2J')\n", "", "\ufffd\x00\x1b[2J")
    assert outcome.verdict is Verdict.PASS


@pytest.mark.parametrize(
    "body", ["import ctypes; ctypes.string_at(0)", "import ctypes; ctypes.CDLL(None).abort()"]
)
def test_case_62_a_crash_is_signaled(box: "Box", body: str) -> None:
    assert box.call(f"def f():\n    {body}\n").verdict is Verdict.SIGNALED
