"""Programs that reach for files that are not theirs (cases 30 to 40)."""

import os
import tempfile
import time
from pathlib import Path

import pytest

from roundsmith.types import Limits
from roundsmith.verdicts import Verdict
from tests.sandbox.conftest import ALSO_FROM_PYTHON, Box

pytestmark = pytest.mark.places(*ALSO_FROM_PYTHON)

SMALL = Limits(cpu_s=2.0, memory_bytes=64 * 2**20, file_bytes=2**20)
LISTED = "import os\ndef f():\n    return os.listdir('.')\n"
# Nothing by that name at T2, no right on it at T1.
OUT_OF_REACH = (Verdict.DENIED, Verdict.ERROR)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow",
        "/etc/passwd",
        "/root/.ssh/id_rsa",
        "/proc/1/environ",
        "/tmp",
        "/var/run/secrets",
        "/dev/vda",
    ],
)
def test_case_30_secrets_are_out_of_reach(box: Box, path: str) -> None:
    if path in ("/etc/passwd", "/proc/1/environ", "/tmp"):
        box.needs_landlock()
    source = (
        f"import os\ndef f():\n"
        f"    return os.listdir({path!r}) if os.path.isdir({path!r}) else open({path!r}).read()\n"
    )
    assert box.call(source).verdict in OUT_OF_REACH


def test_case_30_other_runs_directories_are_out_of_reach(box: Box) -> None:
    box.needs_landlock()
    source = "import os\ndef f():\n    return os.listdir('..')\n"
    wanted = Verdict.PASS if box.place == "T2" else Verdict.DENIED
    assert box.call(source, ["run"]).verdict is wanted


@pytest.mark.parametrize("path", ["/tmp/x", "/x", "../x", "/dev/shm/x", "/var/tmp/x", "../../x"])
def test_case_31_nothing_outside_the_box_can_be_written(box: Box, path: str) -> None:
    if path in ("/tmp/x", "../x"):
        box.needs_landlock()
    path += f"-{time.monotonic_ns()}"  # what somebody else left is not the program's
    assert box.call(f"def f():\n    open({path!r}, 'w')\n").verdict in OUT_OF_REACH
    written = path.startswith("/") and Path(path).exists()
    if written:
        Path(path).unlink()
    assert not written


@pytest.mark.parametrize(
    "change",
    [
        "os.chmod(path, 0o777)",
        "os.utime(path, (1, 1))",
        "os.chown(path, os.getuid(), os.getgid())",
        "os.setxattr(path, 'user.planted', b'x')",
        "os.fchmod(os.open(path, os.O_RDONLY), 0o777)",
        "fcntl.ioctl(os.open(path, os.O_RDONLY), 0x40086602, (0x80).to_bytes(8, 'little'))",
    ],
)
def test_case_31_no_file_outside_is_changed_by_whoever_owns_it(box: Box, change: str) -> None:
    """Landlock knows no right for what is not the content of a file."""
    before = os.stat(os.__file__)
    outcome = box.call(f"import fcntl, os\npath = os.__file__\ndef f():\n    {change}\n")
    assert outcome.verdict is Verdict.DENIED, outcome
    after = os.stat(os.__file__)
    assert (before.st_mode, before.st_mtime, before.st_uid) == (
        after.st_mode,
        after.st_mtime,
        after.st_uid,
    )


def test_case_31_the_box_itself_can_be_written(box: Box) -> None:
    source = (
        "import os\ndef f():\n    open('x', 'w').write('hi')\n"
        "    os.mkdir('d')\n    os.rename('x', 'y')\n"
        "    return open('y').read()\n"
    )
    assert box.call(source, "hi").verdict is Verdict.PASS


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "y"])
def test_case_32_symbolic_links_can_not_be_planted(box: Box, target: str) -> None:
    box.needs_landlock()
    source = f"import os\ndef f():\n    os.symlink({target!r}, 'x')\n"
    assert box.call(source).verdict is Verdict.DENIED


def test_case_32_hard_links_to_what_is_not_the_programs_can_not_be_planted(box: Box) -> None:
    links = os.stat(os.__file__).st_nlink
    # EXDEV: across mounts at T2, across the rights of Landlock at T1.
    source = "import os\ndef f():\n    os.link(os.__file__, 'x')\n"
    assert box.call(source).verdict in OUT_OF_REACH
    assert os.stat(os.__file__).st_nlink == links


@pytest.mark.parametrize("kind", ["os.mkfifo('x')", "os.mknod('x', 0o60666, 1)", "os.mknod('x')"])
def test_case_33_special_files_are_refused(box: Box, kind: str) -> None:
    assert box.call(f"import os\ndef f():\n    {kind}\n").verdict is Verdict.DENIED


@pytest.mark.parametrize(
    "body",
    [
        "open('x', 'wb').write(bytes(2 ** 22))",
        "open('x', 'wb').truncate(2 ** 50)",
        "import os\n    os.posix_fallocate(os.open('x', os.O_CREAT | os.O_RDWR), 0, 2 ** 40)",
    ],
)
def test_case_34_large_files_hit_the_file_limit(box: Box, body: str) -> None:
    assert box.call(f"def f():\n    {body}\n", limits=SMALL).verdict is Verdict.FILE_LIMIT


def test_case_35_deep_directories_leave_nothing_behind(box: Box) -> None:
    source = (
        "import os\ndef f():\n    for _ in range(400):\n        os.mkdir('d')\n"
        "        os.chdir('d')\n    return True\n"
    )
    assert box.call(source).verdict is Verdict.PASS
    assert box.call(LISTED, []).verdict is Verdict.PASS


def test_case_35_inodes_are_bounded_at_t2_and_only_cleared_at_t1(box: Box) -> None:
    source = "def f():\n    for at in range(1500): open(str(at), 'w').close()\n    return True\n"
    wanted = Verdict.FILE_LIMIT if box.place == "T2" else Verdict.PASS
    assert box.call(source, limits=SMALL).verdict is wanted
    assert box.call(LISTED, []).verdict is Verdict.PASS


def test_case_36_odd_file_names_leave_nothing_behind(box: Box) -> None:
    source = (
        "def f():\n    for name in (b'\\xff', b'a\\nb', b'-rf', b'\\x01', b'x' * 255):\n"
        "        open(name, 'w').close()\n    return True\n"
    )
    assert box.call(source).verdict is Verdict.PASS
    assert box.call(LISTED, []).verdict is Verdict.PASS
    assert box.call("def f():\n    open('a\\0b', 'w')\n").verdict is Verdict.ERROR


def test_case_36_directories_named_as_cleaning_names_them_break_no_sandbox(box: Box) -> None:
    pids = box.supervisor_pids
    source = (
        "import os\ndef f():\n    for at in range(1, 40):\n"
        "        os.makedirs(f'pulled-{os.getppid()}-{at}/x/y')\n    return True\n"
    )
    assert box.call(source).verdict is Verdict.PASS
    assert box.call(LISTED, []).verdict is Verdict.PASS
    assert box.supervisor_pids == pids


@pytest.mark.parametrize("name", ["sitecustomize.py", "usercustomize.py", "__pycache__/os.pyc"])
def test_case_37_the_runtime_can_not_be_poisoned(box: Box, name: str) -> None:
    folder = "os.path.dirname(os.__file__)"
    source = f"import os\ndef f():\n    open({folder} + '/{name}', 'w')\n"
    assert box.call(source).verdict is Verdict.DENIED


def test_case_37_what_a_run_did_to_its_interpreter_is_gone_in_the_next(box: Box) -> None:
    source = """
import os, sys, math
def f():
    seen = (os.environ.get('PYTHONPATH'), math.pi > 4, 'planted' in sys.modules, sys.path[0])
    os.environ['PYTHONPATH'], math.pi = '.', 5
    sys.modules['planted'] = sys
    sys.path.insert(0, 'planted')
    open('json.py', 'w').close()
    import json
    return seen[:3] + (seen[3] == 'planted', hasattr(json, 'loads'))
"""
    for _ in range(3):
        outcome = box.call(source, (None, False, False, False, True))
        assert outcome.verdict is Verdict.PASS, outcome.detail


def test_case_38_what_one_run_left_is_gone_in_the_next(box: Box) -> None:
    source = (
        "import os\ndef f():\n    seen = os.listdir('.')\n"
        "    open('left', 'w').close()\n    return seen\n"
    )
    for _ in range(4):
        assert box.call(source, []).verdict is Verdict.PASS
    box.refuses("shmget semget msgget mq_open")
    for path in ("/dev/shm/left", "/dev/mqueue/left", f"{tempfile.gettempdir()}/left"):
        if path.startswith("/tmp"):
            box.needs_landlock()
        assert box.call(f"def f():\n    open({path!r}, 'w')\n").verdict in OUT_OF_REACH


def test_case_39_no_descriptor_is_inherited(box: Box) -> None:
    source = """
import os
def f():
    found = []
    for fd in range(1024):
        try:
            os.fstat(fd)
            found.append(fd)
        except OSError: pass
    return found
"""
    assert box.call(source, [0, 1, 2, 3]).verdict is Verdict.PASS


def test_case_40_output_can_not_be_taken_back_nor_input_changed(box: Box) -> None:
    source = """
import os
print('first', flush=True)
for attempt in (lambda: os.lseek(1, 0, 0), lambda: os.ftruncate(1, 0), lambda: os.write(0, b'x'),
                lambda: os.ftruncate(0, 0), lambda: os.pread(1, 1, 0)):
    try:
        attempt()
        print('done')
    except OSError:
        print('refused')
print(os.read(0, 9).decode())
"""
    printed = "first\n" + "refused\n" * 5 + "given\n"
    outcome = box.script(source, "given", printed)
    assert outcome.verdict is Verdict.PASS, outcome.detail


def test_a_program_that_closes_its_own_directory_harms_no_other(box: Box) -> None:
    closing = "import os\ndef f():\n    os.mkdir('d')\n    os.chmod('.', 0)\n    return True\n"
    writing = "def f():\n    return open('a', 'w').write('x')\n"
    for _ in range(3):
        # It may not where its user owns files outside too.
        assert box.call(closing).verdict in (Verdict.PASS, Verdict.DENIED)
        assert box.call(writing, 1).verdict is Verdict.PASS
