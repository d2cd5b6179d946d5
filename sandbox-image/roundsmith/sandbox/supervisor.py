"""The supervisor: takes runs from the server, one at a time, and drives children that its zygotes
fork.

Started by exec with a socket to the server. First frame in: the settings; first frame out: what was
set up, or why not. Then one R frame a `Run` in; out, frames of events, the last one marked. A C
frame while a run is going cancels it. It ends when the socket closes, and takes every process with
it.
"""

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Sequence

from roundsmith.sandbox import (
    kernels,
    landlock,
    launcher,
    namespaces,
    profiles,
    solver,
    syscalls,
    values,
)
from roundsmith.sandbox.children import Cancelled, ZygoteGone
from roundsmith.sandbox.compiled import Compiled
from roundsmith.sandbox.events import Event, pack_events
from roundsmith.sandbox.frames import read_frame, write_frame
from roundsmith.sandbox.hardening import Box, address_space_bytes
from roundsmith.sandbox.profiles import Profiles
from roundsmith.sandbox.runs import LOADING, Run, Runner
from roundsmith.sandbox.starting import Told, Wanted
from roundsmith.sandbox.supervisor_loop import Begun, SupervisorLoop
from roundsmith.sandbox.syscalls import call
from roundsmith.sandbox.zygotes import ProfileBroken, Zygotes

RUN, CANCEL = b"R", b"C"
CHILD_UID_INSIDE = 1
_APART = "roundsmith.sandbox.apart"
_CANARIES = ("roundsmith.sandbox.attempts", "roundsmith.sandbox.traces")
_FLUSH_S = 0.02
_FLUSH_BYTES = 4 * 2**20


def main(server: int, scratch: str, places: Sequence[str]) -> None:
    """Sets up, says what holds, serves. `server` is the descriptor of the socket, `scratch` the
    directory that programs may write where they have no mount namespace, `places` name after path
    of the packages that a profile may have.
    """
    isolate, uid_base, compiled = Wanted.unpack(read_frame(server))
    kernel = kernels.gvisor()
    found = profiles.find(dict(zip(places[::2], places[1::2], strict=True)), isolate)
    try:
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        outside = namespaces.entered(proc)
        zygotes = _zygotes(server, found, isolate, uid_base, compiled, scratch, proc)
        loop = _loop(server, zygotes)
    except (OSError, ProfileBroken) as error:
        write_frame(server, Told(False, str(error), [], [], kernel, [], {}).pack())
        return
    except Cancelled:  # the server is gone
        return
    # What a child writes wakes this process, which then waits for its turn: it reads all at once.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    # Another process of the same user must not read or trace this one.
    call("prctl", syscalls.PR_SET_DUMPABLE, 0, 0, 0, 0)
    interfaces = namespaces.interfaces() if isolate else []
    inside = namespaces.entered(proc)
    own = [kind for kind, before in outside.items() if before != inside.get(kind, before)]
    told = Told(True, "", interfaces, own, kernel, list(found.here), found.missing)
    write_frame(server, told.pack())
    try:
        serve(server, zygotes, Compiled(zygotes, found.languages), loop)
    except (EOFError, ZygoteGone, BrokenPipeError, ConnectionResetError):
        return


def _zygotes(
    server: int,
    found: Profiles,
    isolate: bool,
    uid_base: int,
    compiled: bool,
    scratch: str,
    proc: int,
) -> Zygotes:
    """The zygotes, that of `base` started."""
    prepare_interpreter()
    # Its file is out of sight once the root is the runtime's.
    library = launcher.compiled() if compiled else None
    if library is None:
        importlib.import_module(_APART)
    readable = (
        found.readable if isolate else found.here[profiles.BASE].rights[profiles.ONLY].readable
    )
    box = make_box(isolate, uid_base, readable, scratch)
    zygotes = Zygotes(server, found, box, library, proc)
    zygotes.children(profiles.BASE)
    return zygotes


def make_box(isolate: bool, uid_base: int, readable: tuple[str, ...], scratch: str) -> Box:
    """Enters the namespaces of T2 where `isolate` says so, and gives what children are confined to.
    Raises OSError where the kernel refuses.
    """
    address_space = address_space_bytes()
    privileged = os.geteuid() == 0
    if isolate:
        namespaces.enter(uid_base, readable)
        child_uid = CHILD_UID_INSIDE if privileged else None
        return Box(True, child_uid, namespaces.SCRATCH, readable, address_space)
    # A runtime below a directory that only root may enter (a root's own pyenv) is closed to any
    # other user.
    child_uid = uid_base + 1 if privileged and profiles.open_to_all(readable) else None
    if privileged:
        os.setgroups([])
    if child_uid is not None:
        os.chown(scratch, child_uid, child_uid)
    also_written = _written(scratch) if kernels.gvisor() and not landlock.abi() else ()
    owns_outside = child_uid is None and not os.statvfs("/").f_flag & os.ST_RDONLY
    box = Box(False, child_uid, scratch, readable, address_space, also_written)
    return box._replace(owns_outside=owns_outside)


def _written(scratch: str) -> tuple[str, ...]:
    """What an ordinary user may write of a root that is read-only but for this."""
    directories = (os.path.dirname(scratch), "/dev/shm")
    return tuple(path for path in directories if os.access(path, os.W_OK))


def prepare_interpreter() -> None:
    """What every child inherits, of any profile: modules, those of canaries too, and a script's
    arguments.
    """
    for name in (*profiles.MODULES, *_CANARIES):
        importlib.import_module(name)
    values.install()
    solver.add_interactive_builtins()
    sys.argv = ["solution.py"]


def _loop(server: int, zygotes: Zygotes) -> SupervisorLoop | None:
    if zygotes.library is None:
        return None
    no_input = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    return SupervisorLoop(zygotes.library, server, no_input)


def serve(server: int, zygotes: Zygotes, compiled: Compiled, loop: SupervisorLoop | None) -> None:
    """Runs until the server closes the socket; what is ordinary in C, where there is a `loop`."""
    while True:
        _serve_next(server, zygotes, compiled, loop)


def _serve_next(
    server: int, zygotes: Zygotes, compiled: Compiled, loop: SupervisorLoop | None
) -> None:
    """One run, of which nothing is left here: a zygote that is made later would have it."""
    begun: Begun | None = None
    if loop is None:
        from roundsmith.sandbox.apart import read_frame_apart  # loaded at the start

        frame = read_frame_apart(server)
    else:
        frame, begun = loop.next()
    if frame[:1] == CANCEL:
        # It came as its run had just ended.
        return
    events = _Events(server)
    try:
        # Nor is there anything of this one, or of those kept, where a zygote of Python is made.
        profile, children = Run.profile_of(frame[1:]), None
        if profile not in compiled.languages:
            if not zygotes.made(profile):
                compiled.forget()
            children = zygotes.children(profile)
        run = Run.unpack(bytes(frame[1:]))
        if children is None:
            compiled.execute(run, events.add)
        else:
            if loop is not None:
                loop.know(profile, children)
            Runner(children, run, events.add, begun).execute()
    except Cancelled:
        read_frame(server)
    except ProfileBroken as error:
        events.add((LOADING, "setup", str(error), b"", 0.0, 0.0))
    zygotes.settle()
    events.flush(last=True)


class _Events:
    """Sends events in batches: at once when the last batch is some time ago or large answers wait,
    else with the next ones.
    """

    def __init__(self, server: int) -> None:
        self._server = server
        self._pending: list[Event] = []
        self._pending_bytes = 0
        self._sent = time.monotonic()

    def add(self, event: Event) -> None:
        self._pending.append(event)
        self._pending_bytes += len(event[3])
        if self._pending_bytes > _FLUSH_BYTES or time.monotonic() - self._sent > _FLUSH_S:
            self.flush(last=False)

    def flush(self, last: bool) -> None:
        write_frame(self._server, pack_events(last, self._pending))
        self._pending, self._pending_bytes = [], 0
        self._sent = time.monotonic()
