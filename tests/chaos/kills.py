"""kill -9 of any process of lab rounds, by seed: each is started again until it is over, and must
end as the one that was left alone.
"""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tests.chaos.processes import (
    FORK_SERVER,
    RUN,
    SERVICES,
    SUPERVISOR,
    TRAINING,
    ZYGOTE,
    by_kind,
)
from tests.pipelines.round.lab_round import command, summary

SETTINGS = "shard_tasks = 2\n"
"""Small shards, so that what was done between two kills is kept."""
WATCH_S = 2.0
"""How long at a time a process that is to be killed is looked for."""
LIMIT_S = 3600.0
"""A run that takes longer than this after its last kill is stuck."""


VICTIMS = (RUN, FORK_SERVER, TRAINING, *SERVICES, SUPERVISOR, ZYGOTE)


def victims(seed: int) -> Iterator[str]:
    """What is killed next, for ever: every kind once in each deal, in a random order."""
    dealer = random.Random(seed)
    while True:
        yield from dealer.sample(VICTIMS, len(VICTIMS))


def due(seed: int, killed: Mapping[str, int]) -> Iterator[str]:
    """The victims that are left when so many of each kind were killed, in the order they were
    dealt in.
    """
    done = Counter(killed)
    for what in victims(seed):
        if done[what]:
            done[what] -= 1
        else:
            yield what


def next_kinds(seed: int, killed: Mapping[str, int], until: int) -> list[str]:
    """What may be killed next, in the order of preference: what is due and, in a training's place,
    another as long as of `until` kills enough are left for the trainings that are due by then.
    """
    left = due(seed, killed)
    kinds = [next(left)]
    owed = Counter(islice(victims(seed), until))[TRAINING] - killed.get(TRAINING, 0)
    if kinds == [TRAINING] and until - sum(killed.values()) > owed:
        kinds.append(next(what for what in left if what != TRAINING))
    return kinds


@dataclass
class Chaos:
    """What was done to some rounds: kills by kind of process, and how often a run was started.

    Victims are dealt, so that each kind is hit as often as every other; one that is not there yet
    is waited for, in the next round if this one ends before. A training, which is there only now
    and then, stays due while others are killed; the last kills of a round are its.
    """

    seed: int
    least_s: float = 0.5
    most_s: float = 8.0
    killed: Counter[str] = field(default_factory=Counter)
    starts: int = 0

    @property
    def kills(self) -> int:
        """How many there were."""
        return self.killed.total()

    def play(self, out: Path, kills: int, *options: str) -> None:
        """Plays a round to its end with at most so many kills."""
        until = self.kills + kills
        while True:
            self.starts += 1
            with (out.parent / f"{out.name}-{self.starts}.log").open("wb") as log:
                run = subprocess.Popen(command(out, *options), stdout=log, stderr=log)
                try:
                    self._disturb(run, until)
                    if run.wait(timeout=LIMIT_S) == 0:
                        return
                finally:
                    run.kill()
                    run.wait()

    def _disturb(self, run: "subprocess.Popen[bytes]", until: int) -> None:
        """Kills one process after another until the run ends or there were enough."""
        while self.kills < until:
            kinds = next_kinds(self.seed, self.killed, until)
            pause = random.Random(f"{self.seed} {self.kills} {self.starts}")
            killed = None
            while killed is None:
                if _ended(run, pause.uniform(self.least_s, self.most_s)):
                    return
                killed = _kill_one(run, kinds, pause)
            self.killed[killed] += 1
            if killed == RUN:
                return


def _kill_one(
    run: "subprocess.Popen[bytes]", kinds: Sequence[str], choice: random.Random
) -> str | None:
    """Kills a process of the first of these kinds that there is one of within a while; which. A
    training alone is waited for until the run ends.
    """
    deadline = time.monotonic() + (LIMIT_S if kinds == [TRAINING] else WATCH_S)
    while time.monotonic() < deadline and run.poll() is None:
        living = by_kind(run.pid)
        for kind in kinds:
            with suppress(ProcessLookupError):  # it ended while we looked
                if found := living.get(kind):
                    os.kill(choice.choice(found), signal.SIGKILL)
                    return kind
        time.sleep(0.05)
    return None


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


def wait_for(path: Path, seconds: float = 600.0) -> None:
    """Returns when there is such a file."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.05)
