"""The promises of isolation, by the attempt that must fail (`roundsmith.sandbox.attempts`)."""

import resource
from collections.abc import Iterator
from dataclasses import dataclass, replace

from roundsmith.sandbox import languages
from roundsmith.sandbox.hardening import CONTROL_FD, DESCRIPTORS, PROGRAM_FD, STACK_BYTES
from roundsmith.sandbox.syscalls import number
from roundsmith.types import Limits

_SECCOMP = "seccomp filters (CONFIG_SECCOMP_FILTER)"
_LANDLOCK = "Landlock ABI 6 or later (CONFIG_SECURITY_LANDLOCK, lsm=landlock)"
_UNDUMPABLE = "memory of other processes that is closed (PR_SET_DUMPABLE)"
_NAMESPACES = (
    "user namespaces (user.max_user_namespaces above 0, and unshare allowed by the container "
    "runtime's seccomp profile)"
)
# A zygote has a few dozen at most, from the lowest numbers on.
_MOST_DESCRIPTOR = 256
# More address space than any runtime may have.
_HUGE = 2**38
# What none of the limits of a run or a compiler comes near, where the exact one follows from a run.
_MOST_BYTES, _MOST_CPU_S = 2**40, 3600
_FAMILIES = {"unix": 1, "inet": 2, "inet6": 10, "netlink": 16, "packet": 17, "alg": 38, "vsock": 40}
_SYSTEM_CALLS = """
ptrace process_vm_readv unshare setns mount keyctl add_key bpf perf_event_open io_uring_setup
userfaultfd memfd_create personality open_by_handle_at shmget mq_open kexec_load init_module
sched_setaffinity bind connect sendmsg
"""


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise: the tier that makes it, the attempt that must fail, and what keeps it."""

    name: str
    tier: str
    attempt: str
    arguments: tuple[object, ...]
    needs: str

    @property
    def by_landlock(self) -> bool:
        """Whether nothing but Landlock keeps it."""
        return self.needs == _LANDLOCK


_ALLOWED = {
    languages.COMPILE: frozenset({"no_execute", "no_fork", "no_start_thread"}),
    languages.RUN: frozenset({"no_start_thread"}),
}
_OTHERS = "no_files_of_other_profiles"


def promises_of(phase: str, supervisor_pid: int) -> tuple[Promise, ...]:
    """Those to a child of a phase of another language, which may have threads, and a compiler
    processes. The last one needs paths that only the supervisor knows: it is tried besides.
    """
    limits = languages.LIMITS if phase == languages.COMPILE else Limits()
    memory = 4 * languages.LIMITS.memory_bytes if phase == languages.COMPILE else _HUGE
    changed: dict[str, tuple[str, tuple[object, ...]]] = {
        # It may start one program, so that only the filter's answer tells.
        "no_execute": ("system_call", (number("execve"),)),
        "no_descriptors": ("find_descriptors", (PROGRAM_FD + 1, _MOST_DESCRIPTOR)),
        "memory_limit": ("take_memory", (memory,)),
        "file_limit": ("write_large", (limits.file_bytes + 1,)),
    }
    kept = [p for p in promises(supervisor_pid) if p.name not in _ALLOWED[phase]]
    for at, promise in enumerate(kept):
        attempt, arguments = changed.get(promise.name, (promise.attempt, promise.arguments))
        kept[at] = replace(promise, attempt=attempt, arguments=arguments)
    return (*kept, Promise(_OTHERS, "T2", "read_any", (), _LANDLOCK))


def promises(supervisor_pid: int) -> tuple[Promise, ...]:
    """Every promise. `supervisor_pid` is the trusted process next to the child."""
    return (*_no_kernel_surface(), *_no_neighbours(supervisor_pid), *_limits(), *_namespaces())


def _no_kernel_surface() -> Iterator[Promise]:
    for name, family in _FAMILIES.items():
        arguments = (number("socket"), family, 1)
        yield Promise(f"no_{name}_socket", "T1", "system_call", arguments, _SECCOMP)
    for name in _SYSTEM_CALLS.split():
        yield Promise(f"no_{name}", "T1", "system_call", (number(name),), _SECCOMP)
    for name in ("execute", "fork", "start_thread", "lock_file"):
        yield Promise(f"no_{name}", "T1", name, (), _SECCOMP)


def _no_neighbours(supervisor_pid: int) -> Iterator[Promise]:
    secrets = ["/etc/shadow", "/etc/hostname", "/root", "/run", "/var/run/secrets"]
    outside = ["/tmp", "/", "/dev/shm", "/var/tmp"]
    given = CONTROL_FD + 1, _MOST_DESCRIPTOR
    processes = [f"/proc/{supervisor_pid}/{name}" for name in ("environ", "maps")]
    yield Promise("no_signal_out", "T1", "signal_process", (supervisor_pid,), _LANDLOCK)
    yield Promise("no_signal_to_parent", "T1", "signal_parent", (), _LANDLOCK)
    yield Promise("no_secret_files", "T1", "read_any", (secrets,), _LANDLOCK)
    yield Promise("no_supervisor_memory", "T1", "read_memory", (supervisor_pid,), _UNDUMPABLE)
    yield Promise("no_process_files", "T1", "read_any", (processes,), _LANDLOCK)
    yield Promise("no_write_outside", "T1", "write_any", (outside,), _LANDLOCK)
    yield Promise("no_change_outside", "T1", "change_file", (), "a user of its own, or seccomp")
    yield Promise("no_privilege", "T1", "be_root", (), "a user or capabilities to give up")
    yield Promise("no_environment", "T1", "read_environment", (), "a clean environment")
    yield Promise("no_descriptors", "T1", "find_descriptors", given, "close_range")


def _limits() -> Iterator[Promise]:
    limits = Limits()
    yield Promise("memory_limit", "T1", "take_memory", (2 * limits.memory_bytes,), "RLIMIT_AS")
    yield Promise("file_limit", "T1", "write_large", (limits.file_bytes + 1,), "RLIMIT_FSIZE")
    yield Promise("descriptor_limit", "T1", "open_descriptors", (DESCRIPTORS,), "RLIMIT_NOFILE")
    for name, kind, most in (
        ("address_space_limit", "AS", _MOST_BYTES),
        ("data_limit", "DATA", _MOST_BYTES),
        ("cpu_limit", "CPU", _MOST_CPU_S),
        ("stack_limit", "STACK", STACK_BYTES),
        ("core_limit", "CORE", 0),
        ("locked_memory_limit", "MEMLOCK", 0),
    ):
        limit = f"RLIMIT_{kind}"
        yield Promise(name, "T1", "raise_limit", (getattr(resource, limit), most), limit)


def _namespaces() -> Iterator[Promise]:
    yield Promise("own_pid_namespace", "T2", "see_other_processes", (), _NAMESPACES)
    yield Promise("own_root", "T2", "see_path", ("/etc/passwd",), _NAMESPACES)
    yield Promise("own_proc", "T2", "see_path", ("/proc/self",), _NAMESPACES)
