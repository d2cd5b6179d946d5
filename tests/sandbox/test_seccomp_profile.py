"""`sandbox-image/seccomp.json` as a container runtime loads it: a restricted container reaches T2
with it, and nothing is open in it that the sandbox does not need.
"""

import asyncio
import json

import pytest

from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import Tier
from roundsmith.types import AssertTest, CallTest, ExecuteItem, Outcome, Program
from roundsmith.verdicts import Verdict
from tests.services.executor.containers import PROFILE, container_pod
from tests.services.executor.sandbox_pod import SandboxPod

CLOSED = """
acct add_key bpf chroot delete_module fanotify_init finit_module fsconfig fsmount fsopen init_module
io_uring_setup ioperm iopl kcmp kexec_load keyctl mknod mknodat mq_open name_to_handle_at
open_by_handle_at perf_event_open personality process_vm_readv ptrace quotactl reboot request_key
semget shmget swapon syslog userfaultfd vhangup bind listen accept accept4 settimeofday
"""
PROGRAM = """
import os
def add(x):
    return x + 1
def alone():
    return os.getpid(), os.path.exists('/opt'), os.listdir('.')
"""
ITEM = ExecuteItem(
    "i",
    (Program("c", PROGRAM),),
    (
        CallTest("call", "add", (1,), 2),
        CallTest("alone", "alone", (), (1, False, [])),
        AssertTest("statements", "for x in (1, 2):\n    assert add(x) == x + 1"),
    ),
)


def tier_and_outcomes(pod: SandboxPod, highest: Tier = "T2") -> tuple[str, list[Outcome]]:
    async def main() -> tuple[str, list[Outcome]]:
        async with Pool(pod.settings(highest=highest)) as pool:
            return pool.capabilities().tier, [outcome async for outcome in pool.execute(ITEM)]

    return asyncio.run(main())


def test_a_restricted_container_with_the_profile_reaches_t2() -> None:
    with container_pod("runc", PROFILE) as pod:
        tier, outcomes = tier_and_outcomes(pod)
    assert tier == "T2"
    assert {(o.test_id, o.verdict, o.tier) for o in outcomes} == {
        (test.test_id, Verdict.PASS, "T2") for test in ITEM.tests
    }


@pytest.mark.parametrize("name", CLOSED.split())
def test_the_profile_allows_no_call_that_the_sandbox_does_not_need(name: str) -> None:
    rules = json.loads(PROFILE.read_text(encoding="utf-8"))["syscalls"]
    assert all(rule["action"] == "SCMP_ACT_ALLOW" for rule in rules)
    assert not [rule for rule in rules if name in rule["names"]]


def test_the_profile_allows_unix_sockets_only() -> None:
    profile = json.loads(PROFILE.read_text(encoding="utf-8"))
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    unix = [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]
    for call in ("socket", "socketpair"):
        rules = [rule for rule in profile["syscalls"] if call in rule["names"]]
        assert [rule["args"] for rule in rules] == [unix]
