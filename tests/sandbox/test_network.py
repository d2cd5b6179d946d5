"""Programs that reach for the network or for other runs by sockets (cases 41 to 45)."""

import contextlib
import os
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from roundsmith.verdicts import Verdict

if TYPE_CHECKING:
    from tests.sandbox.conftest import Box


@dataclass(frozen=True)
class Ears:
    """Sockets of this process that a program would like to reach."""

    tcp: socket.socket
    udp: socket.socket
    abstract: socket.socket

    def heard(self) -> bool:
        """Whether anything reached any of them."""
        return bool(select.select([self.tcp, self.udp, self.abstract], [], [], 0.05)[0])


@pytest.fixture
def ears() -> Iterator[Ears]:
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0case43-{os.getpid()}-{time.monotonic_ns()}")
        abstract.listen()
        yield Ears(tcp, udp, abstract)


def denied(box: "Box", body: str) -> None:
    outcome = box.call(f"import socket\ndef f():\n    {body}\n")
    assert outcome.verdict is Verdict.DENIED, outcome


def test_case_41_nothing_outside_can_be_reached(box: "Box", ears: Ears) -> None:
    denied(box, f"socket.create_connection({ears.tcp.getsockname()})")
    send = "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', "
    denied(box, f"{send}{ears.udp.getsockname()})")
    denied(box, "socket.create_connection(('169.254.169.254', 80))")
    denied(box, "socket.create_connection(('10.0.0.1', 443))")
    assert not ears.heard()


def test_case_41_names_are_not_resolved(box: "Box") -> None:
    outcome = box.call("import socket\ndef f():\n    socket.getaddrinfo('example.com', 80)\n")
    assert outcome.verdict in (Verdict.ERROR, Verdict.DENIED), outcome


def test_case_42_no_service_can_be_opened_for_another_run(box: "Box") -> None:
    denied(box, "socket.create_server(('127.0.0.1', 0))")
    box.refuses("bind listen accept accept4")


def test_case_43_an_abstract_unix_socket_can_not_be_reached(box: "Box", ears: Ears) -> None:
    denied(box, f"socket.socket(socket.AF_UNIX).connect({ears.abstract.getsockname()!r})")
    denied(box, "socket.socket(socket.AF_UNIX).bind(b'\\0theirs')")
    assert not ears.heard()


@pytest.mark.parametrize("arguments", ["40, 1", "16, 3", "38, 5", "17, 3", "2, 3, 1", "10, 2"])
def test_case_44_no_socket_of_any_family_can_be_made(box: "Box", arguments: str) -> None:
    denied(box, f"socket.socket({arguments})")


def test_case_45_the_executors_own_port_can_not_be_reached(box: "Box", ears: Ears) -> None:
    """A local pool's server listens in this process, a pod's worker beside the sandbox."""
    host, _, port = box.worker.rpartition(":")
    address = (host, int(port)) if box.worker else ears.tcp.getsockname()
    socket.create_connection(address, timeout=60).close()
    if not box.worker:
        ears.tcp.accept()[0].close()
    denied(box, f"socket.create_connection({address})")
    assert not ears.heard()
    box.refuses("connect sendmsg sendmmsg recvmsg recvmmsg")


PAIR = """
import array, fcntl, socket
def refused(work, *given):
    try: return work(*given)
    except PermissionError: return 'refused'
def f():
    a, b = socket.socketpair()
    a.send(b'across')
    seen = [b.recv(10)]
"""


@pytest.mark.parametrize(
    "attempt",
    [
        "a.sendmsg, [b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0]))]",
        "b.recvmsg, 1, 64",
        "a.send, b'x', socket.MSG_OOB",
        "b.recv, 1, socket.MSG_OOB",
        "b.recv, 1, socket.MSG_PEEK",
        "a.sendto, b'x', '\\0elsewhere'",
        "b.recvfrom, 1",
        "a.bind, '\\0named'",
        "a.connect, '\\0elsewhere'",
        "a.listen",
        "a.setsockopt, socket.SOL_SOCKET, socket.SO_PASSCRED, 1",
        "a.getsockopt, socket.SOL_SOCKET, 17, 12",
        "fcntl.ioctl, a, 0x8901, bytes(4)",
        "fcntl.ioctl, a, 0x8912, bytes(16)",
    ],
)
def test_case_101_what_crosses_a_pair_of_sockets_is_bytes_between_its_ends(
    box: "Box", attempt: str
) -> None:
    """No descriptor, address, name, credential or interface of the machine, nothing out of band."""
    outcome = box.call(f"{PAIR}    return [*seen, refused({attempt})]\n", [b"across", "refused"])
    assert outcome.verdict is Verdict.PASS, outcome


@pytest.mark.parametrize("kind", ["1, 2", "1, 5", "1, 3", "2, 1", "30, 1", "40, 1"])
def test_case_101_a_pair_is_of_unix_streams(box: "Box", kind: str) -> None:
    denied(box, f"socket.socketpair({kind})")
