"""What the bench compares with that needs nothing installed: a loop of forks in C, and fresh
interpreters.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import roundsmith.sandbox
from roundsmith.executor.bench.cpu import Rate, Stopwatch
from roundsmith.executor.bench.programs import Workload
from roundsmith.sandbox.boot import ENVIRONMENT

_HERE = Path(__file__).parent
_ROOT = Path(next(iter(roundsmith.sandbox.__path__))).parents[1]


def compile_fork_loop(folder: Path) -> Path | None:
    """The library of `fork_loop.c`, None without a C compiler. Raises CalledProcessError where it
    does not compile.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    library = folder / "fork_loop.so"
    beside = f"-I{_ROOT / 'roundsmith/sandbox'}"
    command = [compiler, "-O2", "-shared", "-fPIC", beside, "-o"]
    subprocess.run([*command, library, _HERE / "fork_loop.c"], check=True, capture_output=True)
    return library


@dataclass(frozen=True, slots=True)
class ForkLoop:
    """The loop at one tier, empty for a fork that confines nothing. `uid` is for its programs."""

    library: Path
    tier: str
    folder: Path
    uid: int

    def rate(self, workload: Workload, seconds: float) -> Rate:
        """Programs a second. Raises RuntimeError when one of them failed."""
        scratch = self.folder / f"scratch-{self.tier}"
        scratch.mkdir(exist_ok=True)
        asked = {
            "root": str(_ROOT),
            "library": str(self.library),
            "tier": self.tier,
            "scratch": str(scratch),
            "uid": self.uid,
            "seconds": seconds,
            "programs": [
                (case.program.setup, case.program.source, [test.source for test in case.tests])
                for case in workload.cases
            ],
        }
        path = self.folder / "asked.json"
        path.write_text(json.dumps(asked), "utf-8")
        interpreter = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
        command = [interpreter, "-B", "-s", "-S", "-P", str(_HERE / "fork_loop.py"), str(path)]
        run = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=ENVIRONMENT, cwd="/")
        rate = Rate(*map(float, run.stdout.split()))
        if rate.by_cpu <= 0:
            raise RuntimeError(f"{workload.name}: a program failed in the C fork loop")
        return rate


def subprocess_rate(workload: Workload, seconds: float) -> Rate:
    """Fresh interpreters a second that run a program with its tests."""
    count, watch = 0, Stopwatch()
    while watch.wall_s < seconds:
        for case in workload.cases:
            text = "\n".join(
                (case.program.setup, case.program.source, *(test.source for test in case.tests))
            )
            subprocess.run([sys.executable, "-I", "-S", "-c", text], check=True)
            count += 1
    return watch.rate(count)
