"""`python -m roundsmith.platform.fork_server FD ROOM`: imports what the services with a model and
the trainings of a run would each import, says so, and forks them when it is asked to, over the
socket FD.

It computes nothing, and the libraries whose threads begin as they are imported (OpenBLAS, pyarrow's
allocator) see to them at a fork, so that a fork is what a new interpreter would be after the same
imports. It asks no hub and touches no GPU: whoever needs one is not forked. A child belongs to whom
the request comes from, who has become the reaper of orphans for that time; ROOM is any text, over
which a child writes its own command line, for `ps`.
"""

import ctypes
import gc
import json
import os
import runpy
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from roundsmith.children import die_with_parent
from roundsmith.config import let_threads_sleep
from roundsmith.startup import hold_searches
from roundsmith.training.libraries import hold_back

_ARGUMENTS_BEGIN, _ARGUMENTS_END = 45, 46
"""Places of `arg_start` and `arg_end` among what follows the name in /proc/PID/stat."""


@dataclass(frozen=True)
class Request:
    """A module to run, and how; beside it go the file of the request, the output, and a socket for
    the answer: the child's pid and its parent's, after which the child waits for a byte.
    """

    module: str
    arguments: list[str]
    environment: dict[str, str]
    own_session: bool

    def send(self, server: socket.socket, output: int, answer: socket.socket) -> None:
        """Asks a server."""
        with open(os.memfd_create("request"), "w+") as file:
            json.dump(asdict(self), file)
            file.flush()
            socket.send_fds(server, [b"?"], [file.fileno(), output, answer.fileno()])


def main() -> None:
    """Forks until the socket closes; a child goes on as the module that it was forked for."""
    # The run ends in order, and its children with it, who mind an interrupt where the run does.
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    asked = socket.socket(fileno=int(sys.argv[1]))
    _load()
    asked.send(b"!")
    while True:
        said, descriptors, _, _ = socket.recv_fds(asked, 1, 3)
        if not said:
            return
        if _is_child():
            asked.close()
            signal.signal(signal.SIGINT, interrupted)
            _become(*descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _load() -> None:
    hold_back()
    let_threads_sleep()
    hold_searches()
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401

    import roundsmith.training.run
    import roundsmith.training.sft  # noqa: F401

    gc.freeze()  # a search in a child would copy all that it looks at


def _is_child() -> bool:
    """Forks twice, so that the child is an orphan, and waits in it until it has been adopted."""
    if middle := os.fork():
        os.waitpid(middle, 0)
        return False
    middle = os.getpid()
    if os.fork():
        os._exit(0)
    while os.getppid() == middle:
        time.sleep(0.001)
    return True


def _become(file: int, output: int, answer: int) -> None:
    """Runs what is asked for, as `python -m` does."""
    with open(file) as stream:
        stream.seek(0)
        request = Request(**json.load(stream))
    if request.own_session:
        os.setsid()
    for standard in (1, 2):  # no input is the server's, too
        os.dup2(output, standard)
    os.close(output)
    os.environ.clear()
    os.environ.update(request.environment)
    _call_it(["python", "-m", request.module, *request.arguments])
    with socket.socket(fileno=answer) as asking:
        asking.sendall(f"{os.getpid()} {os.getppid()}".encode())
        if not asking.recv(1):
            return  # nobody waits for it any more
    import numpy

    numpy.random.seed()  # else all children would draw the same; Python's own does so at a fork
    sys.argv = [request.module, *request.arguments]
    runpy.run_module(request.module, run_name="__main__", alter_sys=True)


def _call_it(words: list[str]) -> None:
    """Writes a command line over this process's own, as far as that has room: none where the kernel
    does not say where it lies, as gVisor's.
    """
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = int(fields[_ARGUMENTS_BEGIN]), int(fields[_ARGUMENTS_END])
    text = b"".join(os.fsencode(word) + b"\0" for word in words)[: max(0, end - begin - 1)]
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, text, len(text))


if __name__ == "__main__":
    main()
