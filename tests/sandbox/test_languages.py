"""Profiles of other languages: compiled once, sealed, run confined; each promise is attacked."""

from typing import TYPE_CHECKING

import pytest

from roundsmith.errors import ConfigError, UnknownName
from roundsmith.types import CallTest, ExecuteItem, Limits, Phase, Program, StdioTest
from roundsmith.verdicts import Verdict

if TYPE_CHECKING:
    from roundsmith.types import Outcome
    from tests.sandbox.conftest import Box

LIMITS = Limits(cpu_s=1.0, memory_bytes=64 * 2**20, output_bytes=2**14, file_bytes=2**20)
DOUBLE = {
    "cpp": "#include <iostream>\nint main() { long n; std::cin >> n; std::cout << 2 * n; }\n",
    "node": "console.log(2 * parseInt(require('fs').readFileSync(0, 'utf8')));\n",
}
LANGUAGES = sorted(DOUBLE)


def item(profile: str, source: str, *tests: StdioTest) -> ExecuteItem:
    programs = (Program("c", source),)
    return ExecuteItem("i", programs, tests, limits=LIMITS, profile=profile, no_cache=True)


@pytest.fixture(params=LANGUAGES)
def profile(request: pytest.FixtureRequest, box: "Box") -> str:
    """Each language, where the sandbox has it."""
    name = str(request.param)
    if why := box.capabilities.missing_profiles.get(name):
        pytest.skip(f"{box.place}: {name}: {why}")
    return name


@pytest.fixture
def cpp(box: "Box") -> "Box":
    """The sandbox, where it runs C++."""
    if why := box.capabilities.missing_profiles.get("cpp"):
        pytest.skip(f"{box.place}: cpp: {why}")
    return box


def ended(box: "Box", profile: str, source: str, stdout: str = "", stdin: str = "") -> "Outcome":
    (found,) = box.matrix(item(profile, source, StdioTest("t", stdin, stdout)))
    return found


def test_a_program_is_compiled_and_run_on_each_input(box: "Box", profile: str) -> None:
    tests = (StdioTest("a", "4", "8"), StdioTest("b", "5", "10"), StdioTest("c", "6", "13"))
    found = {o.test_id: o for o in box.matrix(item(profile, DOUBLE[profile], *tests))}
    verdicts = {test_id: o.verdict for test_id, o in found.items()}
    assert verdicts == {"a": Verdict.PASS, "b": Verdict.PASS, "c": Verdict.FAIL}
    assert {o.phase for o in found.values()} == {Phase.RUN}


def test_what_does_not_compile_has_the_compilers_words(box: "Box", profile: str) -> None:
    found = ended(box, profile, "int main({\n")
    assert (found.verdict, found.phase) == (Verdict.COMPILE_ERROR, Phase.COMPILE)
    assert "error" in found.detail.lower()
    assert "program." in found.detail


@pytest.mark.parametrize(
    ("language", "source", "verdict"),
    [
        ("cpp", "int main() { for (;;); }", Verdict.CPU_TIMEOUT),
        ("cpp", "#include <unistd.h>\nint main() { pause(); }", Verdict.WALL_TIMEOUT),
        ("cpp", "int main() { return 3; }", Verdict.ERROR),
        ("cpp", "int main() { *(volatile int *)0 = 1; }", Verdict.SIGNALED),
        ("cpp", "#include <cstdlib>\nint main() { abort(); }", Verdict.SIGNALED),
        ("cpp", "int main() { char *a = new char[1L << 30]; return a[9]; }", Verdict.MEMORY),
        ("cpp", '#include <cstdio>\nint main() { for (;;) puts("x"); }', Verdict.OUTPUT_LIMIT),
        (
            "cpp",
            "#include <thread>\nint main() { std::thread([]{}).join(); }",
            Verdict.PROCESS_LIMIT,
        ),
        ("node", "for (;;);", Verdict.CPU_TIMEOUT),
        ("node", "process.exit(3)", Verdict.ERROR),
        ("node", "throw new Error('no')", Verdict.ERROR),
        ("node", "for (;;) console.log('x')", Verdict.OUTPUT_LIMIT),
        ("node", "const a = []; for (;;) a.push(new Array(1e6).fill(1))", Verdict.MEMORY),
    ],
)
def test_every_end_has_its_verdict(
    box: "Box", language: str, source: str, verdict: Verdict
) -> None:
    if why := box.capabilities.missing_profiles.get(language):
        pytest.skip(f"{box.place}: {language}: {why}")
    found = ended(box, language, source)
    assert (found.verdict, found.phase) == (verdict, Phase.RUN), found


HEAD = """
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
"""
ATTACKS = {
    "socket": "socket(AF_INET, SOCK_STREAM, 0) < 0 && socket(AF_UNIX, SOCK_STREAM, 0) < 0",
    "fork": "fork() < 0 && vfork() < 0",
    "clone": "syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0 && syscall(SYS_clone3, 0, 0) < 0",
    "shell": 'execl("/bin/sh", "sh", "-c", "echo", (char *)0) < 0',
    "exec_by_descriptor": (
        'syscall(SYS_execveat, open("/usr/lib", O_PATH), "", 0, 0, 0x1000) < 0'
        ' && syscall(SYS_execveat, 4, "/bin/sh", 0, 0, 0x1000) < 0'
    ),
    "read_files": (
        'open("/etc/passwd", O_RDONLY) < 0 && open("/usr/bin/g++", O_RDONLY) < 0'
        ' && open("/usr/include/stdio.h", O_RDONLY) < 0 && open("/proc/self/mem", O_RDWR) < 0'
        ' && open("/usr/lib/os-release", O_RDONLY) < 0'
    ),
    "write_outside": (
        'open("/box/x", O_CREAT | O_WRONLY, 0600) < 0 && open("../x", O_CREAT | O_WRONLY, 0600) < 0'
        ' && open("/tmp/x", O_CREAT | O_WRONLY, 0600) < 0 && symlink("/etc", "l") < 0'
    ),
    "own_binary": (
        'write(open("b", O_CREAT | O_WRONLY, 0700), "\\177ELF", 4) == 4'
        ' && execl("./b", "b", (char *)0) < 0'
        ' && (dup2(open("b", O_RDONLY), 4), syscall(SYS_execveat, 4, "", 0, 0, 0x1000)) < 0'
    ),
    "descriptors": "fcntl(3, F_GETFD) < 0 && fcntl(4, F_GETFD) < 0 && fcntl(5, F_GETFD) < 0",
    "signals": "kill(-1, 9) < 0 && kill(2, 0) < 0 && ptrace(PTRACE_TRACEME, 0, 0, 0) < 0",
    "namespaces": 'unshare(CLONE_NEWUSER) < 0 && mount("a", "/box", "tmpfs", 0, 0) < 0',
    "memory_files": 'syscall(SYS_memfd_create, "x", 0) < 0',
    "shared_memory": (
        "mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED"
        " && mmap(0, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED"
    ),
    "private_memory": (
        "mmap(0, 1L << 28, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)"
        " == MAP_FAILED"
    ),
    "large_file": (
        '(signal(SIGXFSZ, SIG_IGN), ftruncate(open("f", O_CREAT | O_RDWR, 0600), 1L << 40)) < 0'
    ),
    "raised_limits": (
        "[] { rlimit r{1L << 40, 1L << 40}; return setrlimit(RLIMIT_DATA, &r); }() < 0"
    ),
    "root": 'setuid(0) < 0 || chown(".", 7, 7) < 0',
}


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_case_98_a_compiled_program_is_refused_what_a_python_program_is(
    cpp: "Box", attack: str
) -> None:
    source = f'{HEAD}int main() {{ puts(({ATTACKS[attack]}) ? "held" : "done"); }}\n'
    found = ended(cpp, "cpp", source, "held")
    assert found.verdict is Verdict.PASS, found


@pytest.mark.parametrize(
    "attack",
    [
        '#include "/etc/passwd"\nint main() {}',
        '#include "/proc/self/environ"\nint main() {}',
        'asm(".incbin \\"/etc/shadow\\"");\nint main() {}',
        '#include "/box/../root/.profile"\nint main() {}',
    ],
)
def test_case_99_a_source_can_not_have_its_compiler_read_files(cpp: "Box", attack: str) -> None:
    found = ended(cpp, "cpp", attack)
    assert (found.verdict, found.phase) == (Verdict.COMPILE_ERROR, Phase.COMPILE)
    refused = ("no such file", "permission denied", "file not found")
    assert any(words in found.detail.lower() for words in refused), found.detail


@pytest.mark.slow
@pytest.mark.parametrize(
    "bomb",
    [
        '#include "program.cpp"\nint main() {}',
        "char a[1L << 32] = {1};\nint main() { return a[5]; }",
        "constexpr long f(long n) { long s = 0; for (long i = 0; i < n; i++) s += i; return s; }\n"
        "constexpr long x = f(1L << 40);\nint main() { return x; }",
        "template <class T, int N> struct A { A<A<T, N>, N - 1> l; A<T *, N - 1> r; };\n"
        "template <class T> struct A<T, 0> { T x; };\nA<int, 60> a;\nint main() {}",
    ],
)
def test_case_99_a_source_that_breaks_its_compiler_breaks_its_own_run(
    cpp: "Box", bomb: str
) -> None:
    found = ended(cpp, "cpp", bomb)
    assert found.verdict in (
        Verdict.COMPILE_ERROR,
        Verdict.CPU_TIMEOUT,
        Verdict.WALL_TIMEOUT,
        Verdict.MEMORY,
    )
    assert found.phase is Phase.COMPILE
    assert ended(cpp, "cpp", DOUBLE["cpp"], "8", "4").verdict is Verdict.PASS


def test_case_98_a_script_of_another_language_can_start_nothing(box: "Box", profile: str) -> None:
    if profile != "node":
        pytest.skip("C++ has tests of its own")
    source = """
const tries = [
  () => require('child_process').execFileSync('/bin/sh', ['-c', 'true']),
  () => require('fs').readFileSync('/etc/passwd'),
  () => require('fs').writeFileSync('/box/x', 'x'),
  () => require('fs').readdirSync('/proc'),
];
let held = 0;
for (const work of tries) try { work(); } catch (error) { held += 1; }
require('net').connect(1, '127.0.0.1').on('error', () => console.log(held === 4 ? 'held' : held));
"""
    assert ended(box, "node", source, "held").verdict is Verdict.PASS


def test_a_run_leaves_nothing_for_the_next_and_can_not_change_its_program(cpp: "Box") -> None:
    source = f"""{HEAD}
int main() {{
    bool first = access("left", F_OK) < 0;
    close(open("left", O_CREAT | O_WRONLY, 0600));
    puts(first ? "clean" : "dirty");
}}
"""
    tests = tuple(StdioTest(f"t{at}", "", "clean") for at in range(3))
    assert {o.verdict for o in cpp.matrix(item("cpp", source, *tests))} == {Verdict.PASS}


def test_only_scripts_are_tests_of_another_language(box: "Box", profile: str) -> None:
    programs = (Program("c", DOUBLE[profile]),)
    tests = (CallTest("t", "f", (), 1),)
    with pytest.raises(ConfigError, match="expected StdioTest"):
        box.matrix(ExecuteItem("i", programs, tests, profile=profile))


def test_without_namespaces_other_languages_are_refused_with_the_reason(box: "Box") -> None:
    if box.place == "T2":
        pytest.skip("T2 has them")
    for name in LANGUAGES:
        with pytest.raises(UnknownName, match=r"namespaces of T2|not installed"):
            box.matrix(item(name, "", StdioTest("t", "", "")))
