"""Every mechanism of the sandbox by name: how it is taken away, and the cases that rest on it."""

from tests.sandbox.mutation import Mutation, without
from tests.sandbox.mutations_of_calls import CALLS, SETTING
from tests.sandbox.mutations_of_verdicts import VERDICTS
from tests.sandbox.planted import Fault

STEPS, EXCHANGE = "sandbox/hardening.py", "sandbox/exchange.py"
ZYGOTE, NAMESPACES = "sandbox/zygote.py", "sandbox/namespaces.py"
QUESTIONS = "executor/questions.py"
TIER = '    if not all(check.holds for check in checks if check.tier == "T1"'
BY_ROOT = """\
    roots = [check.holds for check in checks if check.name == "own_root"]
    return "T2" if roots == [True] else "T1"
"""
GUARD_OFF = (
    Fault("executor/probe.py", TIER, BY_ROOT + TIER),
    Fault("executor/canaries.py", "        _hold(self._first[BASE], seen, profile)\n", ""),
    Fault("executor/canaries.py", "            _compare(self._first[profile], now, profile)\n", ""),
)
"""Probe and canaries look away, so that the cases are what notices."""


def _step(name: str, arguments: str) -> tuple[Fault, ...]:
    return without(STEPS, f'            Step("{name}", ({arguments})),\n')


def _limit(name: str, value: str) -> tuple[Fault, ...]:
    return without(STEPS, f"            resource.RLIMIT_{name}: {value},\n")


def _flag(name: str) -> tuple[Fault, ...]:
    return without(NAMESPACES, f"    | syscalls.CLONE_NEW{name}\n")


LANDLOCK = without(STEPS, "            *self._landlock,\n")
FILTER = "syscalls.PR_SET_SECCOMP, _SECCOMP_FILTER, chosen.address, 0, 0"
CHILD_FILTER = _step("prctl", FILTER)
ZYGOTE_FILTER = without(
    STEPS,
    "seccomp.Filter(seccomp.zygote_filter(executes=bool(self._box.phase))).install()",
    "pass",
)
ADDRESS_SPACE, DATA = _limit("AS", "memory"), _limit("DATA", "memory")
CPU_LIMIT = _limit("CPU", "limits.cpu_s")
CPU_CLOCK = without(EXCHANGE, "        if cpu_s <= 0:\n", "        if cpu_s <= -1000:\n")
SWEEP = without(ZYGOTE, "            sweep(living)\n")
UNDUMPABLE = without(
    "sandbox/supervisor.py", '    call("prctl", syscalls.PR_SET_DUMPABLE, 0, 0, 0, 0)\n'
)
NONCE = "frame[1 : 1 + NONCE_BYTES] != nonce or "
JUDGED_INSIDE = """\
            statement = f"assert {test.entry_point}(*{test.args!r}, **{dict(test.kwargs)!r})"
            return inside(AssertTest(test.test_id, f"{statement} == {test.expected!r}"))
            body"""
NO_NEW_PRIVILEGES = without(
    STEPS, '        call("prctl", syscalls.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)\n'
)
DROP = without(STEPS, "            *self._drop_privileges(),\n")
DEATH_SIGNAL = "syscalls.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0"
CHILD_UNDUMPABLE = _step("prctl", "syscalls.PR_SET_DUMPABLE, 0, 0, 0, 0")
ZYGOTE_UNDUMPABLE = without(STEPS, '        call("prctl", syscalls.PR_SET_DUMPABLE, 0, 0, 0, 0)\n')
OWN_PIDS = _step("unshare", "syscalls.CLONE_NEWPID,")
DOUBLE = "self._at == len(self._nonces) and (right"
NONCES = without(EXCHANGE, NONCE)
COUNTS = without(EXCHANGE, f"if {DOUBLE}", f"if False and {DOUBLE}")
IN_ORDER = "if not self._cell < cell < self._num_cells:"
OWN = "syscalls.CLONE_NEWNS | syscalls.CLONE_NEWIPC"
CLEAN = "                clean(self._box)\n"
DRAINED = "        self._child.drain(most, sizes)\n        return ()\n"
COUNTED = "        if self._child.drain(most, sizes):\n            return ()\n"
SEALS = "fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK"
CHECKED = "            _check_tolerances(test)\n            body"
SPLIT, INSIDE = "return _assert_question(test, setups)", "return inside(test)"
ENVIRONMENT = "env=ENVIRONMENT | _linking(),"
MORE = "env=os.environ | ENVIRONMENT | _linking(),"

MUTATIONS = (
    Mutation("Landlock", LANDLOCK, (30, 31, 32, 33, 37)),
    Mutation("seccomp, the child's filter", CHILD_FILTER, (7, 8, 25, 26, 48, 53, 85)),
    Mutation("seccomp, the zygote's filter", ZYGOTE_FILTER, (28, 33, 44, 49, 50, 51, 54, 55, 87)),
    Mutation("RLIMIT_AS", ADDRESS_SPACE, (13, 14, 85)),
    Mutation("RLIMIT_DATA", DATA, (11, 12, 85)),
    Mutation("RLIMIT_AS and RLIMIT_DATA", ADDRESS_SPACE + DATA, (11, 12, 13, 20)),
    Mutation("RLIMIT_CPU", CPU_LIMIT, (85,)),
    Mutation("RLIMIT_FSIZE", _limit("FSIZE", "limits.file_bytes"), (34, 85)),
    Mutation("RLIMIT_NOFILE", _limit("NOFILE", "DESCRIPTORS"), (16, 85)),
    Mutation("RLIMIT_CORE", _limit("CORE", "0"), (62, 85)),
    Mutation("RLIMIT_STACK", _limit("STACK", "STACK_BYTES"), (18, 85)),
    Mutation("RLIMIT_MEMLOCK", _limit("MEMLOCK", "0"), (85, 88)),
    Mutation(
        "RLIMIT_MSGQUEUE", without(STEPS, "values[resource.RLIMIT_MSGQUEUE] = 0", "pass"), (85,)
    ),
    Mutation("RLIMIT_NPROC", without(STEPS, "if self._counts_processes:", "if False:"), (22, 85)),
    Mutation("no-new-privileges", NO_NEW_PRIVILEGES, (28,)),
    Mutation("users and capabilities dropped", DROP, (86,)),
    Mutation(
        "seccomp: no setting of the machine, users and capabilities dropped",
        SETTING + DROP,
        (86,),
    ),
    Mutation(
        "descriptors closed",
        _step("close_range", "self.num_descriptors, _EVERY_DESCRIPTOR, 0"),
        (39,),
    ),
    Mutation("child not dumpable", CHILD_UNDUMPABLE, (47,), "child and zygote not dumpable"),
    Mutation("child and zygote not dumpable", CHILD_UNDUMPABLE + ZYGOTE_UNDUMPABLE, (47,)),
    Mutation("supervisor not dumpable", UNDUMPABLE, (46, 47), "supervisor not dumpable, Landlock"),
    Mutation("supervisor not dumpable, Landlock", UNDUMPABLE + LANDLOCK, (46, 47)),
    Mutation("end with the parent", _step("prctl", DEATH_SIGNAL), (76,)),
    Mutation("network namespace", _flag("NET"), (97,)),
    Mutation("ipc namespace of the supervisor", _flag("IPC"), (97,)),
    Mutation("uts namespace", _flag("UTS"), (97,)),
    Mutation("mount namespace of a run", without(STEPS, OWN, "syscalls.CLONE_NEWIPC"), (38, 97)),
    Mutation("ipc namespace of a run", without(STEPS, OWN, "syscalls.CLONE_NEWNS"), (97,)),
    Mutation("pid namespace of a run", OWN_PIDS, (23, 25, 97)),
    Mutation("scratch emptied", without(ZYGOTE, CLEAN, "                pass\n"), (35, 36, 38)),
    Mutation("sweep", SWEEP, (23, 24), "sweep, the child's filter"),
    Mutation("sweep, the child's filter", SWEEP + CHILD_FILTER, (23, 24)),
    Mutation("supervisor's CPU clock", CPU_CLOCK, (1,), "supervisor's CPU clock, RLIMIT_CPU"),
    Mutation("supervisor's CPU clock, RLIMIT_CPU", CPU_CLOCK + CPU_LIMIT, (1,)),
    Mutation("supervisor's wall clock", without(EXCHANGE, "if wall_s <= 0:", "if False:"), (2,)),
    Mutation("output counted", without(EXCHANGE, COUNTED, DRAINED), (61,)),
    Mutation("sealed standard input", without("sandbox/children.py", SEALS, "0"), (40,)),
    Mutation("nonce of a question", NONCES, (68,)),
    Mutation("answers counted", COUNTS, (68,), "answers counted, nonce of a question"),
    Mutation("answers counted, nonce of a question", COUNTS + NONCES, (68,)),
    Mutation(
        "judge of calls outside", without(QUESTIONS, CHECKED, JUDGED_INSIDE), (65, 66, 67, 70)
    ),
    Mutation("judge of asserts outside", without(QUESTIONS, SPLIT, INSIDE), (66, 70, 75)),
    Mutation("clean environment", without("sandbox/boot.py", ENVIRONMENT, MORE), (89,)),
    Mutation("reports checked", without("executor/reports.py", IN_ORDER, "if False:"), (95,)),
    *CALLS,
    *VERDICTS,
)
