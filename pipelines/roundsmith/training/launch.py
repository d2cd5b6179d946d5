"""Runs a training as a child process, and tells of its progress."""

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from roundsmith.children import Child, Start, end, execute
from roundsmith.config import child_environment
from roundsmith.errors import ConfigError, EngineError, PlatformError
from roundsmith.training.full_disk import EXIT_CODE, NoSpace, full_disk_told
from roundsmith.training.job import TrainingJob
from roundsmith.training.progress import PROGRESS_FILE, Progress, ProgressTail, read_progress
from roundsmith.training.result import TrainingResult, read_result

LOG_FILE = "training.log"
_POLL_S = 0.2
_GRACE_S = 10.0
_TAIL_BYTES = 4000


async def launch(
    job: TrainingJob,
    nproc: int = 1,
    on_progress: Callable[[Progress], None] | None = None,
    start: Start = execute,
) -> TrainingResult:
    """Train in a process of its own, or in `nproc` by torchrun; `on_progress` hears of every step.

    What it prints goes to `training.log` in `job.out`. Cancelling ends the process; its checkpoints
    stay. Raises ConfigError when the job is wrong, EngineError when the training fails,
    PlatformError when it was killed, NoSpace when the disk is full.
    """
    request = job.out / "request.json"
    with full_disk_told(job.out):
        job.out.mkdir(parents=True, exist_ok=True)
        request.write_text(job.model_dump_json(indent=1) + "\n")
    lines = partial(read_progress, job.out / PROGRESS_FILE)
    tail = ProgressTail(lines, seen=lines())
    with (job.out / LOG_FILE).open("ab") as log:
        begin = log.tell()
        arguments = [str(request), "--die-with-parent", f"--processes={nproc}"]
        environment = child_environment(PYTHONUNBUFFERED="1")
        process = await start("roundsmith.training", arguments, log, environment, False)
    try:
        await _follow(process, tail, on_progress or (lambda _: None))
    finally:
        await end(process, _GRACE_S)
    if process.returncode:
        if process.returncode == EXIT_CODE:
            raise NoSpace(job.out)
        _fail(process.returncode, job.out / LOG_FILE, begin)
    return read_result(job.out)


async def _follow(
    process: Child, tail: ProgressTail, on_progress: Callable[[Progress], None]
) -> None:
    ended = asyncio.ensure_future(process.wait())
    while not ended.done():
        await asyncio.wait([ended], timeout=_POLL_S)
        for progress in tail.fresh():
            on_progress(progress)


def _fail(code: int, log: Path, begin: int) -> None:
    with log.open("rb") as stream:
        stream.seek(max(begin, log.stat().st_size - _TAIL_BYTES))
        tail = stream.read().decode("utf-8", "replace").strip()
    if code < 0:
        raise PlatformError(
            f"expected the training to end by itself, saw {signal.Signals(-code).name} (the "
            "kernel's, when memory ran out): run again, it goes on from its last checkpoint; or "
            f"lower micro_batch_size under its [training]. {log}:\n{tail}"
        )
    kind = ConfigError if code == ConfigError.exit_code else EngineError
    raise kind(
        f"expected the training to end well, saw exit code {code}; the end of {log}:\n{tail}"
    )
