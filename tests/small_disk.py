"""File systems that are soon full, for tests of what is said and kept then."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A file system of so many bytes (as `256k`) at a folder that is made; skips the test where
    none may be mounted.
    """
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system can not be mounted here: needs CAP_SYS_ADMIN")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def grow(folder: Path, size: str) -> None:
    """Gives what is mounted at a folder this size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def run_with(folder: Path, program: str) -> "subprocess.CompletedProcess[str]":
    """Runs Python on a folder, its argument, that is a file system of 2 MB for it alone; skips the
    test where that takes more rights.
    """
    unshare = shutil.which("unshare")
    small = [unshare or "", "--user", "--map-root-user", "--mount", "sh", "-c"]
    small += ['mount -t tmpfs -o size=2m none "$0" && exec "$@"', str(folder)]
    if not unshare or subprocess.run([*small, "true"], check=False).returncode:
        pytest.skip("needs a user namespace to mount a small disk in")
    command = [*small, sys.executable, "-W", "error", "-c", program, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
