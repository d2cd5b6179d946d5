"""kill -9 of any process of lab rounds, by seed: each is started again until it is over, and must
end as the one that was left alone.
"""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.processes import RUN, by_kind
from tests.pipelines.round.lab_round import command, summary

SETTINGS = "shard_tasks = 2\n"
"""Small shards, so that what was done between two kills is kept."""
LIMIT_S = 900.0
"""A run that takes longer than this after its last kill is stuck."""


@dataclass
class Chaos:
    """What was done to some rounds: kills by kind of process, and how often a run was started."""

    seed: int
    least_s: float = 1.0
    most_s: float = 15.0
    killed: Counter[str] = field(default_factory=Counter)
    starts: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def play(self, out: Path, kills: int, *options: str) -> int:
        """Plays a round to its end with at most so many kills; how many there were.

        A kind of process is drawn first, then one of the kind, so that one service is hit as often
        as all sandboxes together.
        """
        done = 0
        while True:
            self.starts += 1
            with (out.parent / f"{out.name}-{self.starts}.log").open("wb") as log:
                run = subprocess.Popen(command(out, *options), stdout=log, stderr=log)
                try:
                    done += self._disturb(run, kills - done)
                    if run.wait(timeout=LIMIT_S) == 0:
                        return done
                finally:
                    run.kill()
                    run.wait()

    def _disturb(self, run: "subprocess.Popen[bytes]", kills: int) -> int:
        """Kills one process after another until the run ends; how many."""
        if self._random.random() < 0.8:  # else it may be hit while it starts
            while len(by_kind(run.pid)) < 2 and not _ended(run, 0.2):
                continue
        for done in range(kills):
            if _ended(run, self._random.uniform(self.least_s, self.most_s)):
                return done
            living = by_kind(run.pid)
            what = self._random.choice(sorted(living))
            try:
                os.kill(self._random.choice(living[what]), signal.SIGKILL)
            except ProcessLookupError:  # it ended while we looked
                continue
            self.killed[what] += 1
            if what == RUN:
                run.wait()
                return done + 1
        return kills


def _ended(run: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        run.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def checkpoints(out: Path) -> list[str]:
    """The weight versions of everything that a run trained, the control too."""
    from roundsmith.store import Store

    store = Store(str(out / "store"))
    return sorted(manifest.stats["weights_sha256"] for manifest in store.manifests("train"))


def settings_file(folder: Path) -> Path:
    """The file of settings that every round here is played with."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "chaos.toml"
    file.write_text(SETTINGS)
    return file


def differences(out: Path, undisturbed: Path) -> list[str]:
    """What a run made otherwise than the undisturbed one; nothing where they are the same."""
    from tests.pipelines.round.lab_round import selected

    found = {
        "rows": (selected(out), selected(undisturbed)),
        "result": (summary(out)["result"], summary(undisturbed)["result"]),
        "checkpoints": (checkpoints(out), checkpoints(undisturbed)),
    }
    return [name for name, (seen, expected) in found.items() if seen != expected]


def wait_for(path: Path, seconds: float = 120.0) -> None:
    """Returns when there is such a file."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)
