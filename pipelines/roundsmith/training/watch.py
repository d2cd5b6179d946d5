"""Writes the progress of a training as it goes, and stops one that diverges."""

import math
import time
from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback

from roundsmith.errors import EngineError
from roundsmith.training.plan import Plan
from roundsmith.training.progress import Progress, ProgressLog

ROLLED_OUT = ("prompt_tokens", "sampled_tokens", "executions")
"""What a step of grpo logs of its rollouts."""


class ProgressWriter(TrainerCallback):
    """One line a step."""

    def __init__(self, plan: Plan, log: ProgressLog | None) -> None:
        """`log` is None on all processes but the first."""
        self._plan = plan
        self._log = log
        self._tokens_by_step = plan.tokens_by_step()
        self._began_s = self._earlier_s = self._earlier_cpu_s = 0.0
        self._began_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._began_s = time.monotonic()
        self._began_step = state.global_step
        if self._log is not None:
            self._earlier_s, self._earlier_cpu_s = self._log.seconds, self._log.cpu_s

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if "loss" not in logs:
            return
        step, loss = state.global_step, float(logs["loss"])
        if not math.isfinite(loss):
            raise EngineError(
                f"step {step}: expected a finite loss, saw {loss}: lower learning_rate, or raise "
                "warmup_steps"
            )
        if self._log is not None:
            self._log.add(self._progress(step, loss, logs))

    def _progress(self, step: int, loss: float, logs: Mapping[str, Any]) -> Progress:
        total, done = self._tokens_by_step[-1], self._tokens_by_step[step]
        elapsed_s = max(time.monotonic() - self._began_s, 1e-9)
        rate = (done - self._tokens_by_step[self._began_step]) / elapsed_s
        return Progress(
            step=step,
            of=self._plan.steps,
            loss=loss,
            learning_rate=float(logs["learning_rate"]),
            tokens_per_s=round(rate, 1),
            seconds_left=round((total - done) / rate, 1),
            reward=float(logs["reward"]) if "reward" in logs else None,
            seconds=round(self._earlier_s + elapsed_s, 3),
            cpu_s=round(self._earlier_cpu_s + time.process_time(), 3),
            **{name: int(logs.get(name, 0)) for name in ROLLED_OUT},
        )
