"""A round of grpo whose sandboxes fail on one cell in five, and whose training is killed: rewards,
rows and checkpoint are those of the round that was left alone.
"""

import os
import signal
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from roundsmith.errors import PlatformError
from roundsmith.presets import run_config
from roundsmith.steps.config import RunConfig
from roundsmith.store import EVALS, EXAMPLES, RowKind, Store
from roundsmith.training.progress import Progress
from roundsmith.training.request import StoredResult, StoredTraining
from tests.chaos.kills import checkpoints
from tests.chaos.played import OtherExecutor, faulty_executor, play_with
from tests.chaos.processes import TRAINING, by_kind
from tests.pipelines.round.lab_round import summary

pytestmark = pytest.mark.slow

SETTINGS = (
    *("composites=1000", "training.objective=grpo", "training.grpo.epochs=3"),
    *("training.grpo.batch_size=8", "training.grpo.generations=4"),
)
FEW = "[evaluation]\nsamples = 1\nks = [1]\n"
KEPT_EVERY = 5
KILLED_AT = KEPT_EVERY + 1
"""Behind a checkpoint: what comes after it is taken again, with what it drew. A busy machine may be
late, and the training be at the next one.
"""
Rewards = dict[int, set[tuple[float | None, int, int]]]
"""Of each step, however often it was taken: mean reward, sampled tokens, executions."""


class Noted(OtherExecutor):
    """A machine of which grpo's rewards are noted, and whose training is killed from a step on."""

    def __init__(
        self, config: RunConfig, work: Path, executor: str, kill_at: int | None = None
    ) -> None:
        super().__init__(config, work, executor)
        self._kill_at = kill_at
        self.rewards: Rewards = defaultdict(set)

    async def train(
        self, request: StoredTraining, on_progress: Callable[[Progress], None]
    ) -> StoredResult:
        """As it is, with every line noted."""

        def note(line: Progress) -> None:
            on_progress(line)
            self.rewards[line.step].add((line.reward, line.sampled_tokens, line.executions))
            if self._kill_at is not None and line.step >= self._kill_at:
                for pid in by_kind(os.getpid()).get(TRAINING, ()):
                    with suppress(ProcessLookupError):  # it ended while we looked
                        os.kill(pid, signal.SIGKILL)

        return await super().train(request, note)


def played(out: Path, folder: Path, executor: str, kill_at: int | None = None) -> Rewards:
    """The rewards of a round that is played to its end, or up to a kill."""
    (folder / "few.toml").write_text(FEW)
    options = {"recipe": "atomic", "tasks": "atomic", "seed": 5, "limit": 8, "eval_limit": 6}
    config = run_config("lab", folder / "few.toml", options, SETTINGS)
    platform = Noted(config, (out / "work").resolve(), executor, kill_at)
    if kill_at is None:
        play_with(config, out, platform)
    else:
        with pytest.raises(PlatformError, match=r"SIGKILL|killed"):
            play_with(config, out, platform)
    return platform.rewards


def rows(out: Path, step: str, kind: RowKind[Any]) -> Sequence[Any]:
    """All rows of a step."""
    store = Store(str(out / "store"))
    found = sorted(store.manifests(step), key=lambda manifest: manifest.key)
    return [row for manifest in found for row in store.read_all(kind, manifest)]


def test_faults_and_a_kill_give_a_round_of_grpo_the_rewards_rows_and_checkpoint_of_a_calm_one(
    tmp_path: Path,
) -> None:
    calm, run = tmp_path / "calm", tmp_path / "run"
    with faulty_executor(tmp_path, 0.0) as address:
        expected = played(calm, tmp_path, address)
    assert len(expected) > KILLED_AT
    assert len(set(map(str, expected.values()))) > 2, "steps differ in their rewards"
    with faulty_executor(tmp_path, 0.2) as address:
        killed = played(run, tmp_path, address, KILLED_AT)
        rest = played(run, tmp_path, address)
    faults, cells = map(int, (tmp_path / "executor.counts").read_text().split())
    assert 0.15 < faults / cells < 0.25
    assert faults > 100
    again = killed.keys() & rest.keys()
    assert again or max(killed) % KEPT_EVERY == 0, "what was not kept was taken again"
    assert KEPT_EVERY < min(rest) <= max(killed) + 1, "it went on from the last checkpoint"
    assert {step: killed.get(step, set()) | rest.get(step, set()) for step in expected} == expected
    assert checkpoints(run) == checkpoints(calm)
    for step, kind in (("select", EXAMPLES), ("evaluate", EVALS)):
        assert rows(run, step, kind) == rows(calm, step, kind) != []
    assert summary(run)["result"] == summary(calm)["result"]
