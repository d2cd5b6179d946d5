"""What the filters refuse, and other things that one part of a mechanism keeps, taken away one by
one.
"""

from tests.sandbox.mutation import Mutation, without
from tests.sandbox.planted import Fault

SECCOMP, STEPS = "sandbox/seccomp.py", "sandbox/hardening.py"
EVER = "for name in EVER.split() if name not in allowed"
CHILD = "_refuse() for name in CHILD.split()}"
FCNTL = "_FCNTL = (5, 6, 7, 36, 37, 38, 1024, 1026, 1036, 1038, 8, 10, 15)"
ARCHITECTURE = "        (_RETURN, 0, 0, _KILL),\n        (_LOAD, 0, 0, 0),\n"
ONE_PROCESS = "self._filters[limits.processes > 1 and self._counts_processes]"
SEVERAL = without(STEPS, ONE_PROCESS, "self._filters[True]")
CLONE_END = """\
        (_EQUAL, 0, 1, signal.SIGKILL),
        *_refuse(),
"""
CPU_LIMITS = """\
        number("setrlimit"): _refuse_when_any(0, (resource.RLIMIT_CPU,)),
"""
OWN_LIMITS = "_refuse_unless(0, 0, _own_limits())"
ANY_LIMIT = "_refuse_unless(0, 0, [(_RETURN, 0, 0, _ALLOW)])"
RUN_FILTER = "seccomp.program_filter(own_pid, PROGRAM_FD, pairs)"
COUNTED = """\
        number("mmap"): _counted_memory(),
        number("mremap"): _refuse(errno.ENOMEM),
"""
LANDLOCK = "            *self._landlock,\n"
STREAM = "_refuse_unless(0, socket.AF_UNIX, stream)"
RARE = "        (_SET, 4, 0, _RARE_FLAGS),\n"
ADDRESS = "        (_EQUAL, 0, 2, 0),\n        (_LOAD, 0, 0, _ARGUMENT_LOW[4] + 4),\n"
CORE = "    syscalls.PR_SCHED_CORE,\n"
NEWER = "        (_RETURN, 0, 0, _ERRNO | 1),\n    ]"
COMMANDS = '        number("ioctl"): _refuse_unless_masked(1, 0xFFFFFF00, _ANY_FILES_COMMANDS),\n'


def _ever(*names: str) -> tuple[Fault, ...]:
    """Calls that neither zygote nor child may make, allowed."""
    return without(SECCOMP, EVER, EVER.replace("allowed", f"(*allowed, *{names})"))


SETTING = _ever("sethostname", "swapon")


def _child(*names: str) -> tuple[Fault, ...]:
    """Calls that a child may not make, allowed."""
    return without(SECCOMP, CHILD, CHILD.replace("}", f" if name not in {names}}}"))


def _fcntl(*commands: int) -> tuple[Fault, ...]:
    """Commands of fcntl, allowed."""
    left = [
        at for at in (5, 6, 7, 36, 37, 38, 1024, 1026, 1036, 1038, 8, 10, 15) if at not in commands
    ]
    return without(SECCOMP, FCNTL, f"_FCNTL = {tuple(left)}")


SIGNALS = (
    Fault(SECCOMP, '        number("kill"): _refuse_unless(0, own_pid, deadly),\n', ""),
    Fault(
        SECCOMP,
        "            0, own_pid, _refuse_when_any(2,",
        "            0, 0, _refuse_when_any(2,",
    ),
)

CALLS = (
    Mutation("seccomp: no exec", _ever("execve", "execveat"), (28,)),
    Mutation("seccomp: no socket", _ever("socket"), (41, 42, 43, 44, 45)),
    Mutation("pairs: Unix streams", without(SECCOMP, STREAM, "[(_RETURN, 0, 0, _ALLOW)]"), (101,)),
    Mutation("pairs: no messages", _child("sendmsg", "recvmsg"), (45, 101)),
    Mutation("pairs: no rare flags", without(SECCOMP, RARE), (101,)),
    Mutation(
        "pairs: no address", without(SECCOMP, ADDRESS, ADDRESS.replace("0, 2", "3, 3")), (101,)
    ),
    Mutation("pairs: no options", _child("setsockopt") + _ever("getsockopt"), (16, 101)),
    Mutation("seccomp: commands of pipes and terminals", without(SECCOMP, COMMANDS), (31, 101)),
    Mutation("seccomp: no memory files", _ever("memfd_create"), (15,)),
    Mutation("seccomp: no SysV", _ever("shmget", "shmat", "msgget", "semget"), (14, 38)),
    Mutation("seccomp: no locks", _ever("flock") + _fcntl(6, 7, 37, 38, 1024, 1036), (53,)),
    Mutation("seccomp: no tracing", _ever("ptrace", "process_vm_readv"), (46,)),
    Mutation("seccomp: no keyrings", _ever("keyctl", "add_key", "request_key"), (50,)),
    Mutation("seccomp: no io_uring, bpf, perf", _ever("io_uring_setup", "bpf"), (51,)),
    Mutation(
        "seccomp: no newer calls",
        without(SECCOMP, "        *_refuse(errno.ENOSYS),\n    ]", NEWER),
        (51,),
    ),
    Mutation("seccomp: no core of its own", without(SECCOMP, CORE), (56,)),
    Mutation(
        "seccomp: no metadata of what is owned outside",
        without(SECCOMP, "METADATA.split() if owns_outside", "METADATA.split() if False"),
        (31,),
    ),
    Mutation("seccomp: no watching", _ever("inotify_init1", "fanotify_init"), (87,)),
    Mutation("seccomp: no namespaces", _child("unshare", "setns"), (48,)),
    Mutation(
        "seccomp: no priority or affinity", _ever("sched_setaffinity", "setpriority"), (26, 56)
    ),
    Mutation(
        "seccomp: no setting of the machine",
        SETTING,
        (86,),
        "seccomp: no setting of the machine, users and capabilities dropped",
    ),
    Mutation("seccomp: personality", _ever("personality"), (55,)),
    Mutation(
        "seccomp: by architecture",
        without(SECCOMP, ARCHITECTURE, ARCHITECTURE.replace("_KILL", "_ALLOW")),
        (52,),
    ),
    Mutation("seccomp: signals to itself", SIGNALS[:1], (8, 25, 26, 84)),
    Mutation("seccomp: one process", SEVERAL, (7, 19)),
    Mutation("seccomp: no timer's signal", _child("timer_create"), (84,)),
    Mutation("seccomp: no pipe's signal", _fcntl(8, 10, 15), (84,)),
    Mutation(
        "seccomp: no child's signal",
        without(SECCOMP, CLONE_END),
        (84,),
        "seccomp: no child's signal, one process",  # at T2 a run is the first of its namespace
    ),
    Mutation(
        "seccomp: no child's signal, one process", without(SECCOMP, CLONE_END) + SEVERAL, (84,)
    ),
    Mutation(
        "seccomp: no CPU limit of one's own",
        without(SECCOMP, CPU_LIMITS) + without(SECCOMP, OWN_LIMITS, ANY_LIMIT),
        (84,),
    ),
    Mutation(
        "filter of a compiled program",
        without(STEPS, RUN_FILTER, "seccomp.compiler_filter(own_pid, pairs)"),
        (98,),
    ),
    Mutation("memory that is counted", without(SECCOMP, COUNTED), (98,)),
    Mutation(
        "Landlock in other languages",
        without(STEPS, LANDLOCK, "            *(() if self._box.phase else self._landlock),\n"),
        (98, 99),
    ),
    Mutation(
        "tmpfs of a bounded size",
        without("sandbox/namespaces.py", "size={size_bytes},nr_inodes=1024,", "size=64m,"),
        (15, 35),
    ),
)
