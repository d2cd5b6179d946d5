"""Profiles of other languages: compiled once, sealed, run confined; every end has its verdict."""

import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace

import pytest

from roundsmith.errors import ConfigError, UnknownName
from roundsmith.sandbox.codec import decode, encode
from roundsmith.sandbox.frames import read_frame, write_frame
from roundsmith.sandbox.questions import FAULT
from roundsmith.types import CallTest, ExecuteItem, Phase, Program, StdioTest
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import EVERYWHERE, Box
from tests.sandbox.languages import DOUBLE, LIMITS, ended, item, needs

pytestmark = pytest.mark.places("T2")
LANGUAGES = sorted(DOUBLE)
HURRIED = {
    Verdict.CPU_TIMEOUT: replace(LIMITS, cpu_s=0.1),
    Verdict.WALL_TIMEOUT: replace(LIMITS, cpu_s=0.2, wall_factor=2),
}
"""What a program that reaches the limit of its verdict may take."""


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest, box: Box) -> str:
    """Each language, where the sandbox has it."""
    needs(box, request.param)
    return str(request.param)


def test_a_program_is_compiled_and_run_on_each_input(box: Box, language: str) -> None:
    tests = (StdioTest("a", "4", "8"), StdioTest("b", "5", "10"), StdioTest("c", "6", "13"))
    found = {o.test_id: o for o in box.matrix(item(language, DOUBLE[language], *tests))}
    verdicts = {test_id: o.verdict for test_id, o in found.items()}
    assert verdicts == {"a": Verdict.PASS, "b": Verdict.PASS, "c": Verdict.FAIL}
    assert {o.phase for o in found.values()} == {Phase.RUN}


def test_what_does_not_compile_has_the_compilers_words(box: Box, language: str) -> None:
    found = ended(box, language, "int main({\n")
    assert (found.verdict, found.phase) == (Verdict.COMPILE_ERROR, Phase.COMPILE)
    assert "error" in found.detail.lower()
    assert "program." in found.detail or "Main.java:1" in found.detail


def answered(commands: list[list[str]], source: str, largest_file: int) -> tuple[bytes, bytes]:
    """Letter and body of what the compiling child's own program says, in a directory of its own."""
    ours, theirs = socket.socketpair()
    script = (
        "import os, resource, sys\n"
        "from roundsmith.sandbox import programs\n"
        "os.dup2(int(sys.argv[1]), 3)\n"
        "os.dup2(os.memfd_create('program'), 4)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)\n"
        "programs.serve(3)\n"
    )
    body = encode((commands, [], "program.cpp", source, "program", ""))
    with tempfile.TemporaryDirectory() as folder, ours:
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(theirs.fileno()), str(largest_file)],
            pass_fds=[theirs.fileno()],
            cwd=folder,
        )
        theirs.close()
        write_frame(ours.fileno(), b"K", bytes(8), body)
        frame = read_frame(ours.fileno())
        ours.shutdown(socket.SHUT_RDWR)
        assert child.wait(300) == 0
    return frame[:1], frame[9:]


def test_a_compiler_that_is_gone_is_no_fault_of_the_program() -> None:
    letter, said = answered([["/nowhere/g++", "program.cpp"]], "int main() {}", 2**20)
    assert (letter, b"No such file" in said) == (FAULT, True)


def test_a_program_that_is_larger_than_a_file_may_be_is_told_so() -> None:
    letter, said = answered([["/bin/true"]], "x" * 2**12, 2**10)
    assert (letter, decode(said)[0]) == (b"E", "FILE_LIMIT")


@pytest.mark.parametrize(
    ("level", "said"),
    [("1", "ended with 0"), ("2", "ProfileBroken: profile cpp: expected that a program can be")],
)
def test_a_machine_that_starts_no_memory_by_default_is_no_fault_of_the_program(
    level: str, said: str
) -> None:
    # The setting belongs to a pid namespace; outside of a new one it is not touched.
    if os.geteuid() or not os.access("/proc/sys/vm/memfd_noexec", os.W_OK):
        pytest.skip("needs root, and a kernel that has vm.memfd_noexec")
    script = (
        "import os, sys\n"
        "from roundsmith.sandbox.compiled import memory_for\n"
        "assert os.getpid() == 1\n"
        "open('/proc/sys/vm/memfd_noexec', 'w').write(sys.argv[1])\n"
        "memory = memory_for('cpp', started=True)\n"
        "os.write(memory, open('/bin/true', 'rb').read())\n"
        "pid = os.fork()\n"
        "if not pid: os.execve(memory, ['true'], {})\n"
        "print('ended with', os.waitpid(pid, 0)[1])\n"
    )
    command = ["unshare", "--pid", "--fork", sys.executable, "-c", script, level]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert said in done.stdout + done.stderr


def go(statements: str, *packages: str) -> tuple[str, str]:
    imports = "".join(f'import "{name}"\n' for name in packages)
    return "go", f"package main\n{imports}func main() {{ {statements} }}\n"


def java(statements: str) -> tuple[str, str]:
    deep = "static int f(int n) { return 1 + f(n); }"
    main = f"public static void main(String[] a) throws Exception {{ {statements} }}"
    return "java", f"import java.util.*;\nclass Main {{\n{deep}\n{main}\n}}\n"


def cpp(statements: str, *headers: str) -> tuple[str, str]:
    included = "".join(f"#include <{name}>\n" for name in headers)
    return "cpp", f"{included}int main() {{ {statements} }}\n"


def node(source: str) -> tuple[str, str]:
    return "node", source


MANY_THREADS = "for i := 0; i < 40; i++ { go func() { runtime.LockOSThread(); select {} }() }"
JAVA_THREADS = (
    "for (int i = 0; i < 40; i++) { var t = new Thread(() -> { for (;;); }); "
    "t.setDaemon(true); t.start(); }"
)


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        (cpp("for (;;);"), Verdict.CPU_TIMEOUT),
        (cpp("pause();", "unistd.h"), Verdict.WALL_TIMEOUT),
        (cpp("return 3;"), Verdict.ERROR),
        (cpp("*(volatile int *)0 = 1;"), Verdict.SIGNALED),
        (cpp("abort();", "cstdlib"), Verdict.SIGNALED),
        (cpp("char *a = new char[1L << 30]; return a[9];"), Verdict.MEMORY),
        (cpp('for (;;) puts("x");', "cstdio"), Verdict.OUTPUT_LIMIT),
        (cpp("std::thread([]{}).join();", "thread"), Verdict.PROCESS_LIMIT),
        (go("for {}"), Verdict.CPU_TIMEOUT),
        (go("time.Sleep(time.Hour)", "time"), Verdict.WALL_TIMEOUT),
        (go("os.Exit(3)", "os"), Verdict.ERROR),
        (go("var a []int; a[9] = 1"), Verdict.ERROR),
        (go("for { fmt.Println(1) }", "fmt"), Verdict.OUTPUT_LIMIT),
        (go("a := []int{}; for { a = append(a, len(a)) }"), Verdict.MEMORY),
        (go(f"{MANY_THREADS}; for {{ runtime.Gosched() }}", "runtime"), Verdict.PROCESS_LIMIT),
        (java("for (;;);"), Verdict.CPU_TIMEOUT),
        (java("Thread.sleep(3600000);"), Verdict.WALL_TIMEOUT),
        (java("System.exit(3);"), Verdict.ERROR),
        (java("throw new Exception();"), Verdict.ERROR),
        (java("f(1);"), Verdict.ERROR),
        (java("for (;;) System.out.println(1);"), Verdict.OUTPUT_LIMIT),
        (java("var l = new ArrayList<int[]>(); for (;;) l.add(new int[9999]);"), Verdict.MEMORY),
        (java("System.out.println(new int[1 << 28].length);"), Verdict.MEMORY),
        (java(JAVA_THREADS), Verdict.PROCESS_LIMIT),
        (node("for (;;);"), Verdict.CPU_TIMEOUT),
        (node("process.exit(3)"), Verdict.ERROR),
        (node("throw new Error('no')"), Verdict.ERROR),
        (node("for (;;) console.log('x')"), Verdict.OUTPUT_LIMIT),
        (node("const a = []; for (;;) a.push(new Array(1e6).fill(1))"), Verdict.MEMORY),
    ],
)
def test_every_end_has_its_verdict(box: Box, program: tuple[str, str], verdict: Verdict) -> None:
    limits = HURRIED.get(verdict, LIMITS)
    found = ended(box, *program, limits=limits)
    assert (found.verdict, found.phase) == (verdict, Phase.RUN), found


def test_goroutines_and_the_heap_of_java_have_what_the_limits_say(box: Box) -> None:
    spread = go(
        "c := make(chan int); for i := 0; i < 1000; i++ { go func() { c <- 1 }() }; n := 0; "
        "for n < 1000 { n += <-c }; a := make([]byte, 30<<20); a[9] = 1; fmt.Println(n)",
        "fmt",
    )
    assert ended(box, *spread, "1000").verdict is Verdict.PASS
    large = java("var l = new byte[30 << 20]; l[9] = 1; System.out.println(l[9]);")
    assert ended(box, *large, "1").verdict is Verdict.PASS


def test_only_scripts_are_tests_of_another_language(box: Box, language: str) -> None:
    programs = (Program("c", DOUBLE[language]),)
    tests = (CallTest("t", "f", (), 1),)
    with pytest.raises(ConfigError, match="expected StdioTest"):
        box.matrix(ExecuteItem("i", programs, tests, profile=language))


@pytest.mark.places(*EVERYWHERE)
def test_without_namespaces_other_languages_are_refused_with_the_reason(box: Box) -> None:
    if box.place == "T2":
        assert set(LANGUAGES) <= {*box.capabilities.profiles, *box.capabilities.missing_profiles}
        return
    for name in LANGUAGES:
        with pytest.raises(UnknownName, match=r"namespaces of T2|not installed"):
            box.matrix(item(name, "", StdioTest("t", "", "")))


READS_BY_NAME = {
    "cpp": (
        '#include <fstream>\n#include <iostream>\nint main() { std::ifstream in("/dev/stdin");\n'
        "  long n; in >> n; std::cout << 2 * n; }\n"
    ),
    "go": (
        'package main\nimport ("fmt"; "os")\nfunc main() { var n int\n'
        '  in, _ := os.Open("/dev/stdin"); fmt.Fscan(in, &n); fmt.Println(2 * n) }\n'
    ),
    "java": (
        "public class Main { public static void main(String[] a) throws Exception {\n"
        '  var in = new java.util.Scanner(new java.io.File("/dev/stdin"));\n'
        "  System.out.println(2 * in.nextInt()); } }\n"
    ),
    "node": "console.log(2 * parseInt(require('fs').readFileSync('/dev/stdin', 'utf8')));\n",
}


@pytest.mark.parametrize("language", READS_BY_NAME)
def test_a_program_may_read_its_input_by_name(box: Box, language: str) -> None:
    found = ended(box, language, READS_BY_NAME[language], "8", "4")
    assert found.verdict is Verdict.PASS, found
