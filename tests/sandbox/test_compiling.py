"""What a compilation comes to that reaches a limit, or where the machine fails: the last is never a
verdict of the program.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import roundsmith.sandbox
from roundsmith.sandbox.questions import FAULT
from tests.sandbox.planted import Fault, plant

COMPILES = """
import json, os, resource, socket, sys, zipfile
sys.path.append(sys.argv[1])
from roundsmith.sandbox import programs
from roundsmith.sandbox.codec import decode, encode
from roundsmith.sandbox.frames import read_frame, write_frame
from roundsmith.sandbox.questions import COMPILE
commands, product, packed, limit, size = json.loads(sys.argv[2])
ours, theirs = socket.socketpair()
program = os.memfd_create("program")
asked = encode((commands, (), "a.c", "int x;", product, packed))
write_frame(ours.fileno(), COMPILE, bytes(8), asked)
ours.shutdown(socket.SHUT_WR)
kept = os.dup2(ours.fileno(), 20), os.dup2(theirs.fileno(), 21), os.dup2(program, 22)
ours.detach(); theirs.detach()
os.closerange(3, 20)
os.dup2(21, 3); os.dup2(22, 4)
kind = getattr(resource, limit)
before = resource.getrlimit(kind)
resource.setrlimit(kind, (size, before[1]))
programs.serve(3)
resource.setrlimit(kind, before)
answer = read_frame(20)
body = answer[9:]
print(json.dumps([answer[:1].decode(), body.decode() if answer[:1] == b"F" else decode(body)]))
"""
MAKES = ["/bin/cp", "a.c", "made"]


def compiled(
    folder: Path, command: list[str], packed: str, limit: str, size: int
) -> tuple[bytes, object]:
    """The letter and the content of the answer, where a limit leaves so much."""
    root = str(Path(next(iter(roundsmith.sandbox.__path__))).parents[1])
    asked = json.dumps([[command], "made", packed, limit, size])
    ended = subprocess.run(
        [sys.executable, "-c", COMPILES, root, asked], cwd=folder, capture_output=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    letter, said = json.loads(ended.stdout)
    return letter.encode(), said


@pytest.mark.parametrize("packed", ["", ".class"])
def test_a_machine_that_gives_no_descriptor_for_the_product_is_at_fault(
    tmp_path: Path, packed: str
) -> None:
    # The source takes the only one, then what the compiler says; none is left for its product.
    letter, said = compiled(tmp_path, MAKES, packed, "RLIMIT_NOFILE", 6)
    assert letter == FAULT
    assert "Too many open files" in str(said)


def test_a_compiler_that_makes_nothing_is_the_programs_failure(tmp_path: Path) -> None:
    letter, said = compiled(tmp_path, ["/bin/true"], "", "RLIMIT_NOFILE", 64)
    assert letter == b"E"
    assert isinstance(said, list)
    assert said[0] == "COMPILE_ERROR"


def test_an_archive_that_is_too_large_is_the_programs_file_limit(tmp_path: Path) -> None:
    (tmp_path / "a.class").write_bytes(bytes(2**16))
    letter, said = compiled(tmp_path, ["/bin/true"], ".class", "RLIMIT_FSIZE", 2**12)
    assert letter == b"E"
    assert isinstance(said, list)
    assert said[0] == "FILE_LIMIT"


def test_a_compiler_that_is_killed_from_outside_is_no_fault_of_the_program(tmp_path: Path) -> None:
    killed = ["/bin/sh", "-c", "kill -9 $$"]
    letter, said = compiled(tmp_path, killed, "", "RLIMIT_NOFILE", 64)
    assert letter == FAULT
    assert "killed from outside" in str(said)


SLOW = """
constexpr long f() { long s = 0; for (int i = 0; i < 5000; i++) for (int j = 0; j < 5000; j++)
    s += j; return s; }
constexpr long a = f();
int main() { return a == 0; }
"""
ASKS = """
import asyncio, json, sys
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.types import ExecuteItem, Program, StdioTest
async def main():
    async with Pool(ExecutorSettings(slots=1)) as pool:
        capabilities = pool.capabilities()
        if capabilities.tier != "T2" or "cpp" not in capabilities.profiles:
            return ["absent"]
        program, test = Program("c", sys.argv[1]), StdioTest("t", "", "")
        item = ExecuteItem("i", (program,), (test,), profile="cpp")
        return [[o.verdict.value, o.phase.value, o.detail] async for o in pool.execute(item)]
print(json.dumps(asyncio.run(main())))
"""


def test_case_99_a_compiler_that_uses_up_its_cpu_time_is_a_cpu_timeout(tmp_path: Path) -> None:
    """The compiler's own processes do the work: what the supervisor started only waits for them."""
    fault = Fault("sandbox/languages.py", "cpu_s: float = 20.0", "cpu_s: float = 1.0")
    command = [sys.executable, "-c", ASKS, SLOW]
    environment = plant(tmp_path, [fault])
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert ended.returncode == 0, ended.stderr
    (found,) = json.loads(ended.stdout)
    if found == "absent":
        pytest.skip("C++ is not here, or T2 does not hold")
    assert found == ["CPU_TIMEOUT", "compile", "compiling: more than 1 s of CPU time"]
