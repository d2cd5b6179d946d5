"""How a zygote's memory lies before it forks. Each test is a process of its own, as that is what
changes.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import roundsmith.sandbox
from roundsmith.sandbox.boot import ENVIRONMENT

ROOT = str(Path(next(iter(roundsmith.sandbox.__path__))).parents[1])
POOLS = """
import ctypes, sys
sys.path.append(sys.argv[1])
from roundsmith.sandbox.pools import begin_pools
take = ctypes.PyDLL(None).PyObject_Malloc
take.restype, take.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
kept = [[bytes(size - 33) for _ in range(400)][::7] for size in range(48, 513, 16)]
if sys.argv[2] == "begun":
    begin_pools()
print(sum(take(size) % 2**14 < 4096 for size in range(16, 513, 16)))
"""
PAGES = """
import mmap, os, sys
sys.path.append(sys.argv[1])
from roundsmith.sandbox.huge_pages import gather
held = mmap.mmap(-1, 8 * 2**20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, len(held), 4096):
    held[at] = at % 251
gather(os.open("/proc", os.O_PATH))
assert all(held[at] == at % 251 for at in range(0, len(held), 4096))
with open("/proc/self/smaps_rollup") as stream:
    print(next(int(line.split()[1]) for line in stream if line.startswith("AnonHugePages")))
"""


def said_by(program: str, *arguments: str) -> int:
    command = [sys.executable, "-S", "-c", program, ROOT, *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_the_next_small_object_is_on_the_page_of_its_pools_header() -> None:
    """Of 32 sizes of blocks; without it what is free between others is taken first."""
    assert said_by(POOLS, "as they are") < 26
    assert said_by(POOLS, "begun") >= 31


def test_memory_is_gathered_in_huge_pages_and_holds_what_it_held() -> None:
    release = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2]))
    if release < (6, 1) or not Path("/sys/kernel/mm/transparent_hugepage").exists():
        pytest.skip(f"Linux {os.uname().release}: it gathers no memory in huge pages")
    assert said_by(PAGES) >= 2048  # memory in pieces may leave no place for more
