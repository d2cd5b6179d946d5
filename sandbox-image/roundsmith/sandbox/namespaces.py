"""Tier T2: user, network, mount, ipc, uts and pid namespaces, and a root that holds only the
runtime.

Entered once by the supervisor, before it forks the zygote; a child adds pid, mount and ipc
namespaces of its own.
"""

import contextlib
import ctypes
import os
import struct
from collections.abc import Sequence

from roundsmith.sandbox import syscalls
from roundsmith.sandbox.launcher import Step
from roundsmith.sandbox.syscalls import call, syscall

SUPERVISOR = (
    syscalls.CLONE_NEWUSER
    | syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWPID
)
KINDS = ("user", "mnt", "net", "ipc", "uts")
"""Those that a supervisor is in itself."""
BOX = "/box"
SCRATCH = "/box/run"
STDIN, STDIN_FILE = "/dev/stdin", f"{SCRATCH}/.stdin"
"""What leads to what, because there is no `/proc`; see `named_input`."""
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND = 1, 2, 4, 8, 32, 4096
_MS_REC, _MS_PRIVATE, _MNT_DETACH = 16384, 1 << 18, 2
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE, _OPEN_TREE_CLONE = -100, 0x1000, 0x8000, 1
_MOVE_FROM_FD = 4
_SIOCGIFNAME, _INTERFACES = 0x8910, 64


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("user_namespace", ctypes.c_uint64),
    )


def enter(uid_base: int, readable: Sequence[str]) -> None:
    """Moves the calling process into its namespaces and root. Raises OSError where the kernel
    refuses.

    As real root, user 0 inside is `uid_base` outside and user 1 (the children) is `uid_base` + 1;
    otherwise user 0 inside is the caller's own user and there is no user 1. The next fork is
    process 1 of the pid namespace.
    """
    privileged = os.geteuid() == 0
    if privileged:
        os.setgroups([])
    outside = (uid_base, 2) if privileged else (os.getuid(), 1)
    finish = _map_users_from_outside(outside)
    call("unshare", SUPERVISOR)
    call("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)
    # All that needs the caller's own user happens before it is given up.
    trees = [(path, os.path.isdir(path), _clone_tree(path)) for path in _existing(readable)]
    finish()
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    _build_root(trees)


def _map_users_from_outside(outside: tuple[int, int]) -> "_Finish":
    """Forks a process that stays outside and writes the maps when told; the returned call tells it
    and waits.
    """
    told, tell = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(told)
        return _Finish(pid, tell)
    try:
        os.close(tell)
        if os.read(told, 1):
            _write_maps(parent, *outside)
            os._exit(0)
    finally:
        os._exit(1)


class _Finish:
    def __init__(self, pid: int, tell: int) -> None:
        self._pid, self._tell = pid, tell

    def __call__(self) -> None:
        os.write(self._tell, b"!")
        os.close(self._tell)
        if os.waitpid(self._pid, 0)[1]:
            raise PermissionError("the user map was refused")


def _write_maps(pid: int, first: int, count: int) -> None:
    if count == 1:
        _write(f"/proc/{pid}/setgroups", "deny")
    text = "".join(f"{inside} {first + inside} 1\n" for inside in range(count))
    _write(f"/proc/{pid}/uid_map", text)
    gid = os.getgid() if count == 1 else first
    _write(
        f"/proc/{pid}/gid_map", "".join(f"{inside} {gid + inside} 1\n" for inside in range(count))
    )


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _existing(readable: Sequence[str]) -> list[str]:
    return [path for path in (*readable, "/dev/null") if os.path.exists(path)]


def _clone_tree(path: str) -> int:
    """A detached, read-only copy of the mount tree at a path."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE
    tree = syscall("open_tree", _AT_FDCWD, path.encode(), flags)
    attributes = _MountAttributes(_MS_RDONLY | _MS_NOSUID)
    size = ctypes.sizeof(attributes)
    syscall(
        "mount_setattr", tree, b"", _AT_EMPTY_PATH | _AT_RECURSIVE, ctypes.byref(attributes), size
    )
    return tree


def _build_root(trees: list[tuple[str, bool, int]]) -> None:
    call("mount", b"tmpfs", b"/tmp", b"tmpfs", _MS_NOSUID | _MS_NODEV, b"size=1m,mode=0755")
    os.chdir("/tmp")
    for path, is_directory, tree in trees:
        target = f".{path}"
        if is_directory:
            os.makedirs(target, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o444))
        syscall("move_mount", tree, b"", _AT_FDCWD, target.encode(), _MOVE_FROM_FD)
        os.close(tree)
    os.makedirs(f".{SCRATCH}")
    os.symlink(STDIN_FILE, f".{STDIN}")
    syscall("pivot_root", b".", b".")
    call("umount2", b".", _MNT_DETACH)
    os.chdir("/")
    call(
        "mount",
        None,
        b"/",
        None,
        _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV,
        None,
    )


def entered(proc: int) -> dict[str, str]:
    """Which namespaces this process is in, by kind, of those that are told: gVisor tells few, and a
    machine's policy may refuse. `proc` is a descriptor of `/proc`, which may be out of sight.
    """
    found = {}
    for kind in KINDS:
        with contextlib.suppress(OSError):
            found[kind] = os.readlink(f"self/ns/{kind}", dir_fd=proc)
    return found


def interfaces() -> list[str]:
    """The network interfaces of this fresh network namespace, which numbers its own from 1 on. Any
    socket can be asked, so one of the machine's own kind is enough.
    """
    import fcntl
    import socket

    found = []
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for index in range(1, _INTERFACES):
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(ours, _SIOCGIFNAME, struct.pack("16si20x", b"", index))
                found.append(answer[:16].rstrip(b"\0").decode())
    return found


def scratch_mount(uid: int, size_bytes: int) -> Step:
    """For a child with a mount namespace of its own: an empty directory of its own, gone when the
    child is.
    """
    options = f"size={size_bytes},nr_inodes=1024,mode=0700,uid={uid},gid={uid}".encode()
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    return Step("mount", (b"tmpfs", SCRATCH.encode(), b"tmpfs", flags, options))
