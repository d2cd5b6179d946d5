"""How a zygote's memory lies before it forks. Each test is a process of its own, as that is what
changes.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import roundsmith.sandbox
from roundsmith.sandbox import launcher
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
from roundsmith.sandbox.layout import gather, open_maps
held = mmap.mmap(-1, 8 * 2**20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, len(held), 4096):
    held[at] = at % 251
gather(open_maps(os.open("/proc", os.O_PATH)))
assert all(held[at] == at % 251 for at in range(0, len(held), 4096))
with open("/proc/self/smaps_rollup") as stream:
    print(next(int(line.split()[1]) for line in stream if line.startswith("AnonHugePages")))
"""

MERGED = """
import os, sys
sys.path.append(sys.argv[1])
import ctypes, decimal
from roundsmith.sandbox.layout import mappings, merge, open_maps
maps = open_maps(os.open("/proc", os.O_PATH))
def pieces():
    return sum("_decimal" in mapping.name for mapping in mappings(maps))
before = pieces()
merge(maps)
assert str(decimal.Decimal(1) / 3).startswith("0.333"), "the library still works"
print(before, pieces())
"""
JOINED = """
import os, sys
sys.path.append(sys.argv[1])
import ctypes, decimal
from roundsmith.sandbox.layout import join, mappings, open_maps, part
proc = os.open("/proc", os.O_PATH)
maps = open_maps(proc)
def rights(found, name="_decimal"):
    return "-".join(m.rights for m in mappings(found) if name in m.name) or "none"
print(rights(maps), flush=True)
joined = join(proc)
if not os.fork():
    assert str(decimal.Decimal(1) / 3).startswith("0.333"), "the library still works"
    print(rights(open_maps(proc)), flush=True)
    import _statistics
    join(proc)
    print(rights(open_maps(proc), "_statistics"), flush=True)
    os._exit(0)
os.wait()
part(joined)
print(rights(maps))
"""
CODE = """
import ctypes, os, sys
sys.path.append(sys.argv[1])
from roundsmith.sandbox.layout import copy_code, mappings, merge, open_maps
maps = open_maps(os.open("/proc", os.O_PATH))
merge(maps)
code = ctypes.cast(ctypes.pythonapi.Py_IsInitialized, ctypes.c_void_p).value
def around():
    (at,) = [m for m in mappings(maps) if m.first <= code < m.last]
    return at
before = around()
held = ctypes.string_at(before.first, before.last - before.first)
copy_code(maps)
same = ctypes.string_at(before.first, len(held)) == held
huge, entries = 0, open("/proc/self/smaps").read().split("VmFlags")
for entry in entries:
    if " r-xp " in entry:
        huge += int(entry.split("AnonHugePages:")[1].split()[0])
whole = before.last // 2**21 - -(-before.first // 2**21)
print(max(whole, 0) * 2048, huge, same, sorted({m.rights for m in mappings(maps)} & {"rwxp"}))
"""
ARENAS = """
import os, sys
sys.path.append(sys.argv[1])
from roundsmith.sandbox.hardening import address_space_bytes
from roundsmith.sandbox.layout import end_arenas, gather, mappings, open_maps
huge, maps = 2 * 2**20, open_maps(os.open("/proc", os.O_PATH))
kept = [[at] for at in range(50_000)]
before = address_space_bytes()
end_arenas()
after = address_space_bytes()
more = [[at] for at in range(100_000)]
def of(held):
    (at,) = [m for m in mappings(maps) if m.first <= id(held) < m.last]
    return at
assert kept == [[at] for at in range(50_000)] and more[-1] == [99_999]
print(of(kept[0]).first % huge, of(kept[0]) == of(kept[-1]), of(more[-1]) == of(kept[0]))
print((before - after) // 2**20 >= 32)
"""


TWO = "r--p-rw-p"
"""What a library writes, as the linker leaves it."""


def words_of(program: str, *arguments: str, **environment: str) -> list[str]:
    command = [sys.executable, "-S", "-c", program, ROOT, *arguments]
    every = ENVIRONMENT | environment
    done = subprocess.run(command, env=every, capture_output=True, text=True, check=True)
    return done.stdout.split()


def said_by(program: str, *arguments: str) -> int:
    return int(words_of(program, *arguments)[0])


def test_the_next_small_object_is_on_the_page_of_its_pools_header() -> None:
    """Of 32 sizes of blocks; without it what is free between others is taken first."""
    assert said_by(POOLS, "as they are") < 26
    assert said_by(POOLS, "begun") >= 31


def need_huge_pages() -> None:
    release = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2]))
    if release < (6, 1) or not Path("/sys/kernel/mm/transparent_hugepage").exists():
        pytest.skip(f"Linux {os.uname().release}: it gathers no memory in huge pages")


def test_memory_is_gathered_in_huge_pages_and_holds_what_it_held() -> None:
    need_huge_pages()
    assert said_by(PAGES) >= 2048  # memory in pieces may leave no place for more


def test_of_the_mappings_of_a_library_three_are_left_and_it_works() -> None:
    before, after = map(int, words_of(MERGED))
    assert (before, after) == (5, 3)


def test_where_arenas_are_settled_they_lie_together_from_a_huge_page_on() -> None:
    """Until they are ended, which gives back what is left; later ones are anywhere."""
    if launcher.compiled() is None:
        pytest.skip("there is no C compiler here")
    said = words_of(ARENAS, LD_PRELOAD=launcher.LIBRARY)
    assert said == ["0", "True", "False", "True"]


def test_what_settles_the_arenas_leaves_other_programs_as_they_are() -> None:
    """It may be preloaded where there is no interpreter."""
    if launcher.compiled() is None:
        pytest.skip("there is no C compiler here")
    done = subprocess.run(
        ["env"], env={"LD_PRELOAD": launcher.LIBRARY}, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == (f"LD_PRELOAD={launcher.LIBRARY}\n", "")


def test_what_a_library_writes_is_one_mapping_in_a_zygote_and_two_again_above_it() -> None:
    before, below, later, after = words_of(JOINED)
    if not before.endswith(TWO):
        pytest.skip(f"a library lies otherwise here: {before}")
    assert after == before
    assert below == before.removesuffix(TWO) + "rw-p"
    assert later == below, "of a library that the zygote loads itself"


def test_the_interpreters_code_moves_into_huge_pages_as_it_is() -> None:
    """As many as lie whole in it, which depends on where it was loaded."""
    need_huge_pages()
    whole, huge, *others = words_of(CODE)
    assert others == ["True", "[]"]
    assert int(huge) in {0, int(whole)}  # none where memory lies in pieces
    if not int(huge):
        pytest.skip("there was no huge page to be had, or none lies whole in the code")
