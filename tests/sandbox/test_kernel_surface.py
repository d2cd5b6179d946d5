"""Programs that reach for the kernel or the processes around them (cases 46 to 56)."""

import contextlib
import errno
import os
import re
import time
from pathlib import Path

import pytest

from roundsmith.sandbox.syscalls import UNIFIED
from roundsmith.types import CallTest, ExecuteItem, Limits, Program
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import ALSO_FROM_PYTHON, PATIENCE_S, Box

pytestmark = pytest.mark.places(*ALSO_FROM_PYTHON)

MANY = Limits(cpu_s=1.0, processes=8)
OUT_OF_REACH = (Verdict.DENIED, Verdict.ERROR)
# Machine code, called as a function.
SMALL = Limits(file_bytes=2**20)
MACHINE = """
import ctypes, mmap
def f():
    code = mmap.mmap(-1, 4096, prot=7)
    code.write({code!r})
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)()
"""


def test_every_promise_of_the_tier_was_tried_and_held(box: Box) -> None:
    held = box.capabilities
    order = {"T1": ("T1",), "T2": ("T1", "T2"), "T3": ("T1", "T3")}[held.tier]
    assert len(held.checks) > 30
    lost = [check for check in held.checks if not check.holds and check.tier in order]
    assert [check.name for check in lost if not (check.by_landlock and held.tier == "T3")] == []


def test_case_46_other_processes_can_not_be_traced_or_copied(box: Box) -> None:
    pid = box.supervisor_pids[0]
    source = f"""
import ctypes, os
def f():
    libc = ctypes.CDLL(None, use_errno=True)
    seen = []
    for pid in (os.getppid(), {pid}):
        seen.append((libc.ptrace(16, pid, 0, 0), ctypes.get_errno()))
        seen.append((libc.process_vm_readv(pid, 0, 0, 0, 0, 0), ctypes.get_errno()))
    return seen
"""
    assert box.call(source, [(-1, 1)] * 4).verdict is Verdict.PASS
    box.refuses("ptrace process_vm_readv process_vm_writev pidfd_open pidfd_getfd kcmp")


@pytest.mark.parametrize("name", ["mem", "environ", "fd", "maps"])
def test_case_47_the_supervisor_can_not_be_read(box: Box, name: str) -> None:
    path = f"/proc/{box.supervisor_pids[0]}/{name}"
    source = (
        f"import os\ndef f():\n    os.close(os.open({path!r}, os.O_RDONLY))\n"
        f"    return os.listdir({path!r})\n"
    )
    assert box.call(source).verdict in OUT_OF_REACH


def test_case_48_namespaces_can_not_be_made(box: Box) -> None:
    source = """
import ctypes, os
def f():
    libc = ctypes.CDLL(None, use_errno=True)
    clone = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    seen = []
    for flag in (0x10000000, 0x20000000, 0x00020000, 0x40000000):
        libc.syscall(clone, flag | 17, 0, 0, 0, 0)
        seen.append(ctypes.get_errno())
    libc.syscall(435, 0, 0)
    return seen + [ctypes.get_errno()]
"""
    # EPERM for namespaces where a run may fork, else EAGAIN for any; clone3 is absent (ENOSYS),
    # because a filter can not see its flags.
    forks = box.if_it_may_fork(Verdict.PASS) is Verdict.PASS
    outcome = box.call(source, [1] * 4 + [38] if forks else [11] * 5, MANY)
    assert outcome.verdict is Verdict.PASS, outcome.detail
    box.refuses("unshare setns")


def test_case_49_nothing_can_be_mounted_and_no_root_changed(box: Box) -> None:
    box.refuses(
        "mount umount2 pivot_root chroot open_tree open_tree_attr move_mount fsopen fsconfig "
        "fsmount fspick mount_setattr statmount listmount"
    )


def test_case_50_keyrings_are_no_channel(box: Box) -> None:
    box.refuses("keyctl add_key request_key")


def test_case_51_the_kernels_large_interfaces_are_closed(box: Box) -> None:
    box.refuses(
        "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register seccomp "
        "io_setup vmsplice"
    )


def test_case_51_what_newer_kernels_have_is_not_there(box: Box) -> None:
    source = """
import ctypes
def f(numbers):
    libc = ctypes.CDLL(None, use_errno=True)
    return [(libc.syscall(number, 0, 0, 0, 0, 0, 0), ctypes.get_errno()) for number in numbers]
"""
    numbers = [max(UNIFIED.values()) + 1, 500, 1000, 2**20]
    asked = CallTest("t", "f", (numbers,), [(-1, errno.ENOSYS)] * len(numbers))
    assert box.run(source, asked).verdict is Verdict.PASS


def test_case_52_calls_of_another_architecture_kill(box: Box) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("x86-64 only")
    x32 = "import ctypes\ndef f():\n    return ctypes.CDLL(None).syscall(0x40000000 | 39)\n"
    assert box.call(x32).verdict is Verdict.DENIED
    # mov eax, 20 (getpid of i386); int 0x80; ret. A kernel without i386 calls sends SIGSEGV.
    i386 = MACHINE.format(code=b"\xb8\x14\0\0\0\xcd\x80\xc3")
    if box.place != "T3":
        assert box.call(i386).verdict in (Verdict.DENIED, Verdict.SIGNALED)
        return
    # gVisor takes it for the call of this architecture with that number, and filters it as such.
    filtered = MACHINE.format(code=b"\xb8\x29\0\0\0\xcd\x80\xc3")
    assert [box.call(i386, -9).verdict, box.call(filtered, -1).verdict] == [Verdict.PASS] * 2


def test_machine_code_of_this_architecture_runs_so_the_case_before_can_fail(box: Box) -> None:
    code = {"x86_64": b"\xb8\x14\0\0\0\xc3", "aarch64": b"\x80\x02\x80\x52\xc0\x03\x5f\xd6"}
    source = MACHINE.format(code=code[os.uname().machine])
    assert box.call(source, 20).verdict is Verdict.PASS


@pytest.mark.parametrize(
    "body",
    [
        "fcntl.lockf(stream, fcntl.LOCK_SH)",
        "fcntl.flock(stream, fcntl.LOCK_SH)",
        "fcntl.fcntl(stream, 1024, 0)",  # F_SETLEASE
        "fcntl.fcntl(stream, 37, bytes(32))",  # F_OFD_SETLK
        "fcntl.fcntl(stream, 1026, 1)",  # F_NOTIFY
        "fcntl.fcntl(stream, 1036, (2).to_bytes(8, 'little'))",
    ],
)
def test_case_53_files_that_others_can_open_can_not_be_locked(box: Box, body: str) -> None:
    source = f"import fcntl, os\ndef f():\n    stream = open(os.__file__)\n    {body}\n"
    assert box.call(source).verdict is Verdict.DENIED


@pytest.mark.parametrize("path", ["/proc/self/exe", "/proc/sys/kernel/core_pattern", "sys.prefix"])
def test_case_54_the_interpreter_and_the_kernels_settings_can_not_be_written(
    box: Box, path: str
) -> None:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    name = repr(path) if path.startswith("/") else f"{path} + '/lib/x'"
    assert box.call(f"import sys\ndef f():\n    open({name}, 'r+b')\n").verdict in OUT_OF_REACH
    box.refuses("name_to_handle_at open_by_handle_at")
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern


def test_case_55_nothing_of_the_machine_can_be_changed(box: Box) -> None:
    box.refuses(
        "personality kexec_load kexec_file_load init_module finit_module delete_module reboot "
        "ioperm iopl modify_ldt lookup_dcookie capset"
    )


def test_case_56_a_program_can_ask_for_no_more_than_its_share_of_cpu(box: Box) -> None:
    """By default one thread of ordinary priority; caches and timing are shared and not guarded."""
    box.refuses(
        "setpriority sched_setscheduler sched_setparam sched_setattr sched_setaffinity ioprio_set "
        "mbind set_mempolicy migrate_pages move_pages"
    )
    # A core that no other program may use the other half of.
    source = "import ctypes\ndef f():\n    libc = ctypes.CDLL(None, use_errno=True)\n"
    source += "    return libc.prctl(62, 1, 0, 0, 0), ctypes.get_errno()\n"
    assert box.call(source, (-1, errno.EPERM)).verdict is Verdict.PASS
    source = "import threading\ndef f():\n    threading.Thread(target=f).start()\n"
    assert box.call(source).verdict is Verdict.PROCESS_LIMIT


def test_case_85_a_program_can_not_raise_its_own_limits(box: Box) -> None:
    source = """
import resource
def f():
    seen = []
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_CPU,
                 resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE):
        soft, hard = resource.getrlimit(kind)
        try:
            resource.setrlimit(kind, (hard + 1, hard + 1))
            seen.append(soft)
        except (ValueError, OSError): pass
    return seen
"""
    outcome = box.call(source, [])
    assert outcome.verdict is Verdict.PASS, outcome.detail


def test_case_85_every_limit_of_the_kernel_is_set_and_hard(box: Box) -> None:
    names = ("FSIZE", "NOFILE", "CORE", "STACK", "MEMLOCK")
    wanted = {"FSIZE": SMALL.file_bytes, "NOFILE": 64, "CORE": 0, "STACK": 64 * 2**20, "MEMLOCK": 0}
    source = f"""
import resource
def f():
    return {{name: resource.getrlimit(getattr(resource, 'RLIMIT_' + name)) for name in {names}}}
"""
    found = box.call(source, {name: (size, size) for name, size in wanted.items()}, limits=SMALL)
    assert found.verdict is Verdict.PASS, found.detail
    source = """
import resource
def f():
    kinds = (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_CPU)
    return [0 < resource.getrlimit(kind)[1] < 2 ** 40 for kind in kinds]
"""
    assert box.call(source, [True] * 3).verdict is Verdict.PASS
    queues = "import resource\ndef f():\n    return resource.getrlimit(12)\n"
    if box.place != "T3":
        assert box.call(queues, (0, 0)).verdict is Verdict.PASS


def test_case_47_a_program_is_closed_to_others_of_its_user(box: Box) -> None:
    source = "import ctypes\ndef f():\n    return ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)\n"
    assert box.call(source, 0).verdict is Verdict.PASS  # PR_GET_DUMPABLE


def test_case_97_at_t2_a_run_shares_no_namespace_with_the_machine_nor_its_files_with_another(
    box: Box,
) -> None:
    if box.place != "T2" or os.geteuid() != 0:
        pytest.skip("namespaces are T2's, and only root can look at another's")
    above = box.supervisor_pids[0]
    machine, supervisor = _namespaces("self"), _namespaces(str(above))
    shared = [kind for kind, own in supervisor.items() if own == machine[kind]]
    assert shared == ["pid"], "the supervisor is in the machine's pid namespace, its zygote is not"
    marker = f"case97-{time.monotonic_ns() % 10**8}"
    source = (
        f"import ctypes, time\nctypes.CDLL(None).prctl(15, {marker!r}.encode(), 0, 0, 0)\n"
        "def f():\n    time.sleep(600)\n"
    )
    item = ExecuteItem(
        "i", (Program("c", source),), (CallTest("t", "f", (), 1),), limits=Limits(cpu_s=600)
    )
    with box.running(item):
        pid = _named(marker)
        parent = re.search(r"^PPid:\t(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        assert parent is not None
        run, zygote = _namespaces(pid), _namespaces(parent[1])
    own = {kind for kind, link in run.items() if link != zygote[kind]}
    assert own == {"pid", "mnt", "ipc"}


def _namespaces(pid: str) -> dict[str, str]:
    kinds = ("user", "net", "mnt", "ipc", "uts", "pid")
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in kinds}


def _named(marker: str) -> str:
    """The process of that name, as soon as there is one."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                if file.read().strip() == marker:
                    return pid
    raise AssertionError(f"no process {marker}")


def test_case_86_clock_name_swap_and_accounts_of_the_machine_can_not_be_changed(box: Box) -> None:
    name, before = os.uname().nodename, time.time()
    box.refuses(
        "settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname "
        "swapon swapoff acct quotactl quotactl_fd syslog vhangup sync syncfs"
    )
    assert os.uname().nodename == name
    assert 0 <= time.time() - before < 60


def test_case_86_a_program_has_no_capability(box: Box) -> None:
    source = """
import ctypes, struct
def f():
    held = ctypes.create_string_buffer(24)
    said = ctypes.CDLL(None).capget(struct.pack('Ii', 0x20080522, 0), held)
    effective, permitted, _, effective_too, permitted_too, _ = struct.unpack('6I', held.raw)
    return said, effective | effective_too, permitted | permitted_too
"""
    assert box.call(source, (0, 0, 0)).verdict is Verdict.PASS


def test_case_87_a_program_can_not_watch_files_that_others_open(box: Box) -> None:
    box.refuses("inotify_init inotify_init1 inotify_add_watch fanotify_init fanotify_mark")


def test_case_88_memory_can_not_be_pinned(box: Box) -> None:
    source = """
import ctypes, mmap
def f():
    libc = ctypes.CDLL(None, use_errno=True)
    return [libc.mlockall(3), libc.mlock(ctypes.create_string_buffer(8192), 8192)]
"""
    assert box.call(source, [-1, -1]).verdict is Verdict.PASS


def test_case_89_the_environment_holds_no_secrets(box: Box) -> None:
    os.environ["ROUNDSMITH_TEST_SECRET"] = "hush"
    try:
        source = "import os\ndef f():\n    return sorted(os.environ)\n"
        outcome = box.call(source, ["LANG", "LC_ALL", "OMP_NUM_THREADS", "PYTHONHASHSEED", "TZ"])
        assert outcome.verdict is Verdict.PASS, outcome.detail
    finally:
        del os.environ["ROUNDSMITH_TEST_SECRET"]


def test_case_89_runs_do_not_see_the_servers_modules(box: Box) -> None:
    source = (
        "def f():\n    import importlib.util\n"
        "    return [importlib.util.find_spec(n) is None for n in ('numpy', 'grpc', 'pytest')]\n"
    )
    assert box.call(source, [True, True, True]).verdict is Verdict.PASS
