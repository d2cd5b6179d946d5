"""What a program of another language, or its source, tries against its run and its compiler."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from roundsmith.types import Phase, StdioTest
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import Box
from tests.sandbox.languages import DOUBLE, ended, item, needs

pytestmark = pytest.mark.places("T2")


@pytest.fixture
def cpp(box: Box) -> Box:
    """The sandbox, where it runs C++."""
    needs(box, "cpp")
    return box


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
    "memory_that_grows_as_a_stack": (
        "mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0)"
        " == MAP_FAILED && [] { char here; auto page = (void *)((long)&here & -4096L);"
        " return syscall(SYS_mremap, page, 4096, 8192, MREMAP_MAYMOVE) < 0; }()"
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
    cpp: Box, attack: str
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
def test_case_99_a_source_can_not_have_its_compiler_read_files(cpp: Box, attack: str) -> None:
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
        "template <int N> struct A : A<N + 1> {};\nA<0> a;\nint main() {}",
    ],
)
def test_case_99_a_source_that_breaks_its_compiler_breaks_its_own_run(cpp: Box, bomb: str) -> None:
    found = ended(cpp, "cpp", bomb)
    assert found.verdict in (
        Verdict.COMPILE_ERROR,
        Verdict.CPU_TIMEOUT,
        Verdict.WALL_TIMEOUT,
        Verdict.MEMORY,
    )
    assert found.phase is Phase.COMPILE
    assert ended(cpp, "cpp", DOUBLE["cpp"], "8", "4").verdict is Verdict.PASS


SCRIPTS = {
    "go": """
package main
import ("fmt"; "os"; "syscall")
func main() {
    _, read := os.ReadFile("/etc/passwd")
    _, list := os.ReadDir("/proc")
    _, packages := os.ReadDir("/usr/local/go")
    write := os.WriteFile("/box/x", []byte("x"), 0o600)
    _, start := os.StartProcess("/bin/sh", []string{"sh"}, &os.ProcAttr{})
    become := syscall.Exec("/bin/sh", []string{"sh"}, nil)
    _, internet := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
    _, unix := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
    _, pair := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
    _, shared := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ, syscall.MAP_SHARED|syscall.MAP_ANON)
    _, stack := syscall.Mmap(
        -1, 0, 1<<30, syscall.PROT_READ|syscall.PROT_WRITE,
        syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_GROWSDOWN,
    )
    _, endless := syscall.Mmap(
        -1, 0, 1<<37, syscall.PROT_READ, syscall.MAP_PRIVATE|syscall.MAP_ANON,
    )
    signal := syscall.Kill(-1, syscall.SIGKILL)
    for at, err := range []error{
        read, list, packages, write, start, become, internet, unix, pair, shared, stack, endless,
        signal,
    } {
        if err == nil { fmt.Println("done", at) }
    }
    fmt.Println("held")
}
""",
    "java": """
import java.net.*;
import java.nio.file.*;
class Main {
    interface Work { void run() throws Exception; }
    public static void main(String[] a) {
        Work[] tries = {
            () -> Files.readAllBytes(Path.of("/etc/passwd")),
            () -> Files.readAllBytes(Path.of("/usr/bin/javac")),
            () -> Files.list(Path.of("/proc")),
            () -> Files.write(Path.of("/box/x"), new byte[1]),
            () -> Files.createSymbolicLink(Path.of("l"), Path.of("/etc")),
            () -> new ProcessBuilder("/bin/sh", "-c", "true").start(),
            () -> new ServerSocket(0),
            () -> new DatagramSocket(),
            () -> ServerSocketChannelOfUnix.open(),
        };
        for (int at = 0; at < tries.length; at++)
            try { tries[at].run(); System.out.println("done " + at); } catch (Exception e) { }
        System.out.println("held");
    }
    static class ServerSocketChannelOfUnix {
        static void open() throws Exception {
            var channel = java.nio.channels.ServerSocketChannel.open(StandardProtocolFamily.UNIX);
            channel.bind(UnixDomainSocketAddress.of("s"));
        }
    }
}
""",
    "node": """
const tries = [
  () => require('child_process').execFileSync('/bin/sh', ['-c', 'true']),
  () => require('fs').readFileSync('/etc/passwd'),
  () => require('fs').writeFileSync('/box/x', 'x'),
  () => require('fs').readdirSync('/proc'),
];
tries.forEach((work, at) => {
  let done = true;
  try { work(); } catch (error) { done = false; }
  if (done) console.log('done', at);
});
require('net').connect(1, '127.0.0.1').on('error', () => console.log('held'));
""",
}


@pytest.mark.parametrize("language", sorted(SCRIPTS))
def test_case_98_a_program_of_another_runtime_reaches_nothing(box: Box, language: str) -> None:
    found = ended(box, language, SCRIPTS[language], "held")
    assert found.verdict is Verdict.PASS, found


@pytest.mark.parametrize(
    ("language", "source"),
    [
        (
            "go",
            'package main\nimport _ "embed"\n//go:embed /etc/passwd\nvar s string\n'
            "func main() {}\n",
        ),
        ("go", "package main\n//line /etc/passwd:1\nfunc main() { x }\n"),
        ("go", 'package main\nimport "C"\nfunc main() {}\n'),
        ("java", "class Main extends Nothing {}\n"),
    ],
)
def test_case_99_a_source_of_another_runtime_is_told_nothing_of_the_machines_files(
    box: Box, language: str, source: str
) -> None:
    found = ended(box, language, source)
    assert (found.verdict, found.phase) == (Verdict.COMPILE_ERROR, Phase.COMPILE)
    assert "root:" not in found.detail


def test_a_run_leaves_nothing_for_the_next_and_can_not_change_its_program(cpp: Box) -> None:
    source = f"""{HEAD}
int main() {{
    bool first = access("left", F_OK) < 0;
    close(open("left", O_CREAT | O_WRONLY, 0600));
    puts(first ? "clean" : "dirty");
}}
"""
    tests = tuple(StdioTest(f"t{at}", "", "clean") for at in range(3))
    assert {o.verdict for o in cpp.matrix(item("cpp", source, *tests))} == {Verdict.PASS}


def test_the_programs_that_a_slot_keeps_take_no_more_than_one_may(cpp: Box) -> None:
    for at in range(6):
        source = f"char a[40 << 20] = {{{at + 1}}};\nint main() {{ return a[0] - {at + 1}; }}\n"
        assert ended(cpp, "cpp", source).verdict is Verdict.PASS
    assert sum(programs_kept(cpp)) <= 2 * 64 * 2**20, "of two slots"


def test_a_compiler_that_is_given_up_leaves_no_memory_behind(cpp: Box) -> None:
    source = (
        "constexpr long f(long n) { long s = 0; for (long i = 0; i < n; i++) s += i; return s; }"
    )
    before = len(programs_kept(cpp))
    for at in range(2):
        endless = f"{source}\nconstexpr long x = f(1L << 40);\nint main() {{ return x + {at}; }}"
        assert cpp.given_up(item("cpp", endless, StdioTest("t", "", "")), 0.3)
    assert ended(cpp, "cpp", DOUBLE["cpp"], "8", "4").verdict is Verdict.PASS
    assert len(programs_kept(cpp)) <= before + 1


def programs_kept(box: Box) -> list[int]:
    """The sizes of the programs that the supervisors hold."""
    opened = [path for pid in box.supervisor_pids for path in Path(f"/proc/{pid}/fd").iterdir()]
    sizes = []
    for path in opened:
        with suppress(FileNotFoundError):  # closed meanwhile
            if "memfd:program" in os.readlink(path):
                sizes.append(path.stat().st_size)
    return sizes
