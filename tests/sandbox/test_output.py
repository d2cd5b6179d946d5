"""Programs that print more, or odder things, than they may, or crash (cases 57 to 62)."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from roundsmith.types import ExecuteItem, Limits, Program, StdioTest
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import LIMITS
from tests.sandbox.test_kernel_surface import MACHINE

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box


def test_case_57_a_flood_of_output_hits_the_output_limit(box: "Box") -> None:
    source = "import sys\ndef f():\n    while True: sys.stdout.write('x' * 4096)\n"
    assert box.call(source).verdict is Verdict.OUTPUT_LIMIT


def test_case_58_a_flood_of_errors_while_output_is_idle_hits_the_output_limit(box: "Box") -> None:
    source = "import sys\ndef f():\n    while True: sys.stderr.write('x' * 4096)\n"
    assert box.call(source).verdict is Verdict.OUTPUT_LIMIT


def test_case_59_one_huge_line_hits_the_output_limit(box: "Box") -> None:
    assert box.call("def f():\n    print('x' * 10 ** 7)\n").verdict is Verdict.OUTPUT_LIMIT
    assert box.script("print('x' * 10 ** 7)", "", "x").verdict is Verdict.OUTPUT_LIMIT


def test_case_60_odd_bytes_on_output_are_only_bytes(box: "Box") -> None:
    outcome = box.script("import os\nos.write(1, b'\\xff\\x00\\x1b[2J')\n", "", "\ufffd\x00\x1b[2J")
    assert outcome.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("size", "verdict"), [(999, Verdict.PASS), (1000, Verdict.PASS), (1001, Verdict.OUTPUT_LIMIT)]
)
def test_case_61_output_may_be_as_large_as_the_limit(
    box: "Box", size: int, verdict: Verdict
) -> None:
    source = f"import os\ndef f():\n    os.write(1, b'x' * {size})\n    return True\n"
    assert box.call(source, limits=Limits(output_bytes=1000)).verdict is verdict


@pytest.mark.parametrize(
    "body", ["import ctypes; ctypes.string_at(0)", "import ctypes; ctypes.CDLL(None).abort()"]
)
def test_case_62_a_crash_is_signaled(box: "Box", body: str) -> None:
    assert box.call(f"def f():\n    {body}\n").verdict is Verdict.SIGNALED


def test_case_62_an_illegal_instruction_is_signaled(box: "Box") -> None:
    code = {"x86_64": b"\x0f\x0b", "aarch64": bytes(4)}[os.uname().machine]
    assert box.call(MACHINE.format(code=code)).verdict is Verdict.SIGNALED


def test_case_62_a_crash_leaves_no_core_file(box: "Box") -> None:
    source = "import resource\ndef f():\n    return resource.getrlimit(resource.RLIMIT_CORE)\n"
    assert box.call(source, (0, 0)).verdict is Verdict.PASS
    before = set(Path.cwd().iterdir())
    box.call("def f():\n    import ctypes; ctypes.string_at(0)\n")
    assert box.call("import os\ndef f():\n    return os.listdir('.')\n", []).verdict is Verdict.PASS
    assert [p for p in set(Path.cwd().iterdir()) - before if p.name.startswith("core")] == []


@pytest.mark.parametrize(
    "source",
    [
        "import atexit\natexit.register(print, 5)",
        "import atexit, io, sys\nsys.stdout = io.StringIO()\nprint(5)\n"
        "atexit.register(lambda: sys.__stdout__.write(sys.stdout.getvalue()))",
        "import atexit, sys\natexit.register(print, 5)\nsys.exit()",
    ],
)
def test_what_a_script_prints_as_it_ends_counts(box: "Box", source: str) -> None:
    assert box.script(source, "", "5").verdict is Verdict.PASS


def test_a_script_ends_when_its_threads_do(box: "Box") -> None:
    source = "import threading, time\ndef late():\n    time.sleep(0.05)\n    print(5)\n"
    source += "threading.Thread(target=late).start()\n"
    outcome = box.script(source, "", "5", limits=Limits(processes=2))
    assert outcome.verdict is box.if_it_may_fork(Verdict.PASS), outcome


@pytest.mark.parametrize(
    "source",
    [
        "with open(1, 'w') as out: out.write('5')",
        "import os\nout = os.fdopen(1, 'w')\nout.write('5')\nout.close()",
        "import os\nos.write(1, b'5')\nos.close(1)",
        "import os, sys\nprint(5)\nsys.stdout.flush()\nos.dup2(2, 1)",
        "import sys\nprint(5)\nsys.stdout.close()",
    ],
)
def test_what_a_script_printed_counts_though_it_closed_or_replaced_its_output(
    box: "Box", source: str
) -> None:
    tests = tuple(StdioTest(f"t{at}", str(at), "5") for at in range(30))
    item = ExecuteItem("one", (Program("c", source),), tests, limits=LIMITS)
    assert {outcome.verdict for outcome in box.matrix(item)} == {Verdict.PASS}


@pytest.mark.parametrize("taken", ["buffer", "detach()"])
def test_a_script_may_wrap_its_streams_anew(box: "Box", taken: str) -> None:
    source = "import io, sys\n"
    for name in ("stdin", "stdout", "stderr"):
        source += f"sys.{name} = io.TextIOWrapper(sys.{name}.{taken}, encoding='utf-8')\n"
    source += "print(input())\nprint('x', file=sys.stderr)\n"
    outcome = box.script(source, "5\n", "5")
    assert outcome.verdict is Verdict.PASS, outcome


def test_output_is_the_pipe_that_it_is_and_named_as_the_interpreter_names_it(box: "Box") -> None:
    source = (
        "import sys\ndef f(): return [(s.seekable(), s.name, s.mode, s.buffer.mode, s.encoding,"
    )
    source += " s.errors, s.newlines, s.line_buffering) for s in (sys.stdout, sys.__stderr__)]\n"
    lines = "(False, '<stdout>', 'w', 'wb', 'utf-8', 'surrogateescape', None, False)\n"
    lines += "(False, '<stderr>', 'w', 'wb', 'utf-8', 'backslashreplace', None, True)\n"
    outcome = box.script(f"{source}print(*f(), sep='\\n')\n", "", lines)
    assert outcome.verdict is Verdict.PASS, outcome


def test_the_right_output_is_never_over_the_limit(box: "Box") -> None:
    limits = Limits(output_bytes=1000)
    outcome = box.script("print('x' * 200_000)", "", "x" * 200_000, limits)
    assert outcome.verdict is Verdict.PASS, outcome
    assert box.script("print('x' * 200_000)", "", "x", limits).verdict is Verdict.OUTPUT_LIMIT


@pytest.mark.parametrize("stdin", ["", "5\n", "line\n" * 50_000])
def test_a_script_may_read_its_input_by_name(box: "Box", stdin: str) -> None:
    source = (
        "first = open('/dev/stdin').read()\nassert first == open(0).read()\nprint(len(first))\n"
    )
    outcome = box.script(source, stdin, str(len(stdin)))
    assert outcome.verdict is Verdict.PASS, outcome


@pytest.mark.places("T2")
def test_input_that_is_larger_than_a_file_may_be_is_not_there_by_name(box: "Box") -> None:
    source = "import os\nprint(os.path.exists('/dev/stdin'), os.listdir('.'), len(input()))\n"
    outcome = box.script(source, "x" * 5000, "False [] 5000", Limits(file_bytes=4096))
    assert outcome.verdict is Verdict.PASS, outcome
