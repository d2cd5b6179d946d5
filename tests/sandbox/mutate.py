"""Takes each mechanism of the sandbox away in turn, in a copy, and shows which cases notice.

    python -m tests.sandbox.mutate [--all] [--kept FILE] [NAME ...]

Prints a table, mechanism by case. Exits with 1 when nothing notices the absence of one that stands
alone. With `--all` every case but those of BOMBS is tried against every mechanism, which takes
hours. What was seen is written to FILE as it goes, and not tried again while sandbox, executor and
tests are as they were: end it by Ctrl-C, and go on by the same command.
"""

import argparse
import ctypes
import hashlib
import json
import re
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from roundsmith.sandbox.syscalls import CLONE_NEWUTS
from tests.sandbox.mutation import Mutation
from tests.sandbox.mutations import GUARD_OFF, MUTATIONS
from tests.sandbox.planted import FOLDERS, ROOT, plant

TESTS = (ROOT / "tests/sandbox", ROOT / "tests/services/executor")
PLACES = "not T3"
_LIMIT_S = 400.0
_CLIB = ctypes.CDLL(None)
_MOST_PROCESSES = 512
"""Of one user, whatever is taken away: the machine must outlive a case that nothing stops."""
BOMBS = (21, 27, 29)
"""Cases that fork until something stops them: never run in a copy that lacks it."""
_PROBE = """
import asyncio, json
from roundsmith.errors import SandboxError
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
async def tried(tier):
    try:
        async with Pool(ExecutorSettings(slots=1, highest=tier, floor=tier)):
            return True
    except SandboxError:
        return False
print(json.dumps([tier for tier in ("T1", "T2") if not asyncio.run(tried(tier))]))
"""


def main() -> int:
    """Runs the mutations that are named, all by default; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="mechanisms, by default every one")
    parser.add_argument("--all", action="store_true", help="every case against every mechanism")
    parser.add_argument("--kept", type=Path, help="file that keeps what was seen")
    options = parser.parse_args()
    known = {mutation.name: mutation for mutation in MUTATIONS}
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"no mechanism {unknown[0]!r}; there are: {'; '.join(known)}")
    chosen = [known[name] for name in options.names] or list(MUTATIONS)
    resource.setrlimit(resource.RLIMIT_NPROC, (_MOST_PROCESSES, _MOST_PROCESSES))
    _CLIB.unshare(CLONE_NEWUTS)  # what nothing stops would give the machine another name
    kept = _Kept(options.kept, options.all)
    print("| taken away | cases that go red | the probe refuses |")
    print("|---|---|---|", flush=True)
    try:
        unnoticed = [mutation.name for mutation in chosen if not _noticed(mutation, kept)]
    except KeyboardInterrupt:
        print("interrupted: the same command goes on where --kept names a file", file=sys.stderr)
        return 130
    for name in unnoticed:
        print(f"nothing noticed that {name} was taken away: mend a test", file=sys.stderr)
    return bool(unnoticed)


class _Kept:
    """What was seen of each mechanism: where which cases went red, and at which tiers the probe
    refused. In a file, where there is one.
    """

    def __init__(self, path: Path | None, every_case: bool) -> None:
        self._path, self._every_case = path, every_case
        self._code = _digest()
        self._seen: dict[str, tuple[dict[str, list[str]], list[str]]] = {}
        if path is not None and path.exists():
            self._seen = json.loads(path.read_text(encoding="utf-8"))

    def seen(self, mutation: Mutation) -> tuple[dict[str, list[str]], list[str]]:
        """What is known, else what is seen now."""
        of = repr((self._code, self._every_case, mutation)).encode()
        key = f"{mutation.name} {hashlib.sha256(of).hexdigest()[:16]}"
        if key not in self._seen:
            self._seen[key] = _tried(mutation, self._every_case)
            if self._path is not None:
                self._path.write_text(json.dumps(self._seen, indent=1), encoding="utf-8")
        return self._seen[key]


def _digest() -> str:
    """Of all that what is seen depends on."""
    folders = (*FOLDERS.values(), *TESTS)
    files = sorted(path for folder in folders for path in folder.glob("*.[pc]*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _noticed(mutation: Mutation, kept: _Kept) -> bool:
    red, refused = kept.seen(mutation)
    cases = sorted(red.items(), key=lambda item: int(item[0]))
    shown = ", ".join(f"{case} ({' '.join(places)})" for case, places in cases)
    if not shown and mutation.depth:
        shown = f"none alone: see *{mutation.depth}*"
    print(f"| {mutation.name} | {shown or '**none**'} | {' '.join(refused) or '-'} |", flush=True)
    return bool(red or mutation.depth)


def _tried(mutation: Mutation, every_case: bool) -> tuple[dict[str, list[str]], list[str]]:
    with tempfile.TemporaryDirectory(prefix="roundsmith-mutation-") as folder:
        Path(folder).chmod(0o755)
        refused = _refused(Path(folder) / "guarded", mutation)
        return _red(Path(folder) / "open", mutation, every_case), refused


def _refused(folder: Path, mutation: Mutation) -> list[str]:
    """The tiers at which the probe refuses the copy."""
    folder.mkdir()
    environment = plant(folder, mutation.faults)
    command = [sys.executable, "-c", _PROBE]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    tiers: list[str] = json.loads(ended.stdout)
    return tiers


def _red(folder: Path, mutation: Mutation, every_case: bool) -> dict[str, list[str]]:
    """Where each case goes red in the copy whose probe looks away."""
    folder.mkdir()
    environment = plant(folder, (*mutation.faults, *GUARD_OFF))
    report = folder / "report.xml"
    cases = " or ".join(f"case_{case:02}_" for case in mutation.cases)
    bombs = " or ".join(f"case_{case:02}_" for case in BOMBS)
    wanted = f"({PLACES}) and not ({bombs})" + ("" if every_case else f" and ({cases})")
    command = [sys.executable, "-m", "pytest", "-q", *_files(() if every_case else mutation.cases)]
    command += ["-m", "not slow", "-k", wanted, f"--junitxml={report}", "-p", "no:cacheprovider"]
    limit_s = None if every_case else _LIMIT_S
    try:
        subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return {str(case): ["hangs"] for case in mutation.cases}
    if not report.exists():
        return {str(case): ["breaks the tests"] for case in mutation.cases}
    found = defaultdict(set)
    for case in ElementTree.parse(report).iter("testcase"):
        number = re.match(r"test_case_(\d+)_", case.get("name", ""))
        place = re.search(r"\[(T1|T2|pod)\b", case.get("name", ""))
        if number and any(case.find(end) is not None for end in ("failure", "error")):
            found[str(int(number[1]))].add(place[1] if place else "server")
    return {case: sorted(places) for case, places in found.items()}


def _files(cases: tuple[int, ...]) -> list[str]:
    """The tests that have one of the cases, all where none is named."""
    begun = [f"def test_case_{case:02}_" for case in cases] or ["def test_case_"]
    files = sorted(path for folder in TESTS for path in folder.glob("test_*.py"))
    return [
        str(path)
        for path in files
        if any(name in path.read_text(encoding="utf-8") for name in begun)
    ]


if __name__ == "__main__":
    sys.exit(main())
