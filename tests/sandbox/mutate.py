"""Takes each mechanism of the sandbox away in turn, in a copy, and shows which cases notice.

    python -m tests.sandbox.mutate [--all] [NAME ...]

Prints a table, mechanism by case. Exits with 1 when nothing notices the absence of one that stands
alone. With `--all` every case is tried against every mechanism, which takes hours.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from tests.sandbox.mutations import GUARD_OFF, MUTATIONS, Mutation
from tests.sandbox.planted import ROOT, plant

TESTS = ("tests/sandbox", "tests/services/executor/test_hostile_pods.py")
PLACES = "T2 or T1 or pod or hostile"
_LIMIT_S = 180.0
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
    options = parser.parse_args()
    known = {mutation.name: mutation for mutation in MUTATIONS}
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"no mechanism {unknown[0]!r}; there are: {'; '.join(known)}")
    chosen = [known[name] for name in options.names] or list(MUTATIONS)
    resource.setrlimit(resource.RLIMIT_NPROC, (_MOST_PROCESSES, _MOST_PROCESSES))
    print("| taken away | cases that go red | the probe refuses |")
    print("|---|---|---|", flush=True)
    unnoticed = [mutation.name for mutation in chosen if not _noticed(mutation, options.all)]
    for name in unnoticed:
        print(f"nothing noticed that {name} was taken away: mend a test", file=sys.stderr)
    return bool(unnoticed)


def _noticed(mutation: Mutation, every_case: bool) -> bool:
    with tempfile.TemporaryDirectory(prefix="roundsmith-mutation-") as folder:
        Path(folder).chmod(0o755)
        refused = _refused(Path(folder) / "guarded", mutation)
        red = _red(Path(folder) / "open", mutation, every_case)
    shown = ", ".join(f"{case} ({' '.join(places)})" for case, places in sorted(red.items()))
    if not shown and mutation.depth:
        shown = f"none alone: see *{mutation.depth}*"
    print(f"| {mutation.name} | {shown or '**none**'} | {' '.join(refused) or '-'} |", flush=True)
    return bool(red or mutation.depth)


def _refused(folder: Path, mutation: Mutation) -> list[str]:
    """The tiers at which the probe refuses the copy."""
    folder.mkdir()
    environment = plant(folder, mutation.faults)
    command = [sys.executable, "-c", _PROBE]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    tiers: list[str] = json.loads(ended.stdout)
    return tiers


def _red(folder: Path, mutation: Mutation, every_case: bool) -> dict[int, list[str]]:
    """Where each case goes red in the copy whose probe looks away."""
    folder.mkdir()
    environment = plant(folder, (*mutation.faults, *GUARD_OFF))
    report = folder / "report.xml"
    cases = " or ".join(f"case_{case:02}_" for case in mutation.cases)
    bombs = " or ".join(f"case_{case:02}_" for case in BOMBS)
    wanted = f"({PLACES}) and not ({bombs})" + ("" if every_case else f" and ({cases})")
    command = [sys.executable, "-m", "pytest", "-q", *TESTS, "-m", "not slow", "-k", wanted]
    command += [f"--junitxml={report}", "-p", "no:cacheprovider"]
    limit_s = None if every_case else _LIMIT_S
    try:
        subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return {case: ["hangs"] for case in mutation.cases}
    found = defaultdict(set)
    for case in ElementTree.parse(report).iter("testcase"):
        number = re.match(r"test_case_(\d+)_", case.get("name", ""))
        place = re.search(r"\[(T1|T2|pod)\b", case.get("name", ""))
        if number and any(case.find(end) is not None for end in ("failure", "error")):
            found[int(number[1])].add(place[1] if place else "pod")
    return {case: sorted(places) for case, places in found.items()}


if __name__ == "__main__":
    sys.exit(main())
