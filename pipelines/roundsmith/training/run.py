"""One training from beginning to end, in this process and its peers under torchrun."""

import contextlib
import logging
import time
from pathlib import Path
from typing import Any

from roundsmith.config import cpu_count
from roundsmith.models.folder import check, refuse_quantized
from roundsmith.startup import resume_searches
from roundsmith.training.folder import JobFolder
from roundsmith.training.job import TrainingJob
from roundsmith.training.keeping import FolderKeeping, Keep, Keeping
from roundsmith.training.loading import load
from roundsmith.training.merged import save_whole
from roundsmith.training.no_memory import no_memory_told
from roundsmith.training.objectives import find_objective
from roundsmith.training.peers import joined
from roundsmith.training.plan import Plan, plan_training, uses_bfloat16
from roundsmith.training.progress import PROGRESS_FILE, read_progress
from roundsmith.training.result import TrainingResult, read_result
from roundsmith.training.tokens import write_tokens

log = logging.getLogger(__name__)


def train(job: TrainingJob) -> TrainingResult:
    """Run a job, or go on with it from its last checkpoint; a finished one is only read.

    Raises ConfigError for rows, a model or a folder that can not be used, EngineError when the loss
    diverges, NoMemory where it needs more than there is.
    """
    run(job, FolderKeeping)
    return read_result(job.out)


def run(job: TrainingJob, keep: Keep) -> None:
    """Run this process's part of a job; `keep` makes what checkpoints and the model go to."""
    check(job.model, job.trust_remote_code)
    refuse_quantized(job.model)
    import torch
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # untyped
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped
    device = _device(job)
    peers = joined(device == "cpu")
    torch.set_num_threads(job.num_threads or max(1, cpu_count() // peers.num_processes))
    folder = JobFolder(job)
    first_here = peers.is_local_main_process
    try:
        with folder.claimed() if first_here else contextlib.nullcontext():
            if first_here:
                folder.open()
            peers.wait_for_everyone()
            if not folder.finished:
                with no_memory_told(job):
                    _train(job, folder, device, peers, keep(folder, peers))
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _device(job: TrainingJob) -> str:
    import torch

    if job.device != "auto":
        return job.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _train(job: TrainingJob, folder: JobFolder, device: str, peers: Any, keeping: Keeping) -> None:
    from roundsmith.training.watch import ProgressWriter

    objective = find_objective(job.objective)
    model, coder = load(job)
    bfloat16 = uses_bfloat16(job, model.num_parameters(), device != "cpu")
    # The device's settings must be made before the model is moved, hence before the plan.
    config = objective.arguments(job, folder, device, bfloat16)
    path = folder.work / f"tokens-{peers.process_index}.arrow"
    tokens = write_tokens(coder, objective, job, path)
    plan = plan_training(job, objective, tokens, coder.tokenizer, peers.num_processes)
    checkpoint, step = keeping.last_checkpoint()
    if peers.is_main_process:
        keeping.progress.restart(step, checkpoint)
    writer = ProgressWriter(plan, keeping.progress if peers.is_main_process else None)
    log.info("%d rows, %d steps, from step %d on %s", len(tokens.lengths), plan.steps, step, device)
    trainer = objective.build(job, keeping, plan, config, model, [writer])
    resume_searches()
    began_s = time.monotonic()
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    log.info("%d steps in %.1f s", plan.steps - step, time.monotonic() - began_s)
    trained = trainer.whole()
    if peers.is_main_process:
        partial = folder.work / "model"
        dtype = "bfloat16" if bfloat16 else "float32"
        keeping.finish(partial, _save(partial, folder, plan, trained, dtype, device))
    # No process ends before the result is kept: one that is lost until then is started again, and
    # needs the others.
    peers.wait_for_everyone()


def _save(
    partial: Path, folder: JobFolder, plan: Plan, trained: Any, dtype: str, device: str
) -> TrainingResult:
    """The trained model as a whole folder at `partial`, and what is said of it."""
    save_whole(trained, partial)
    steps = list(read_progress(folder.path / PROGRESS_FILE))
    losses = [progress.loss for progress in steps]
    last = losses[-max(1, len(losses) // 10) :]
    return TrainingResult(
        weights_sha256=folder.complete(partial),
        steps=plan.steps,
        num_rows=len(plan.tokens.lengths),
        num_dropped_rows=plan.tokens.num_dropped,
        tokens=plan.tokens_by_step()[-1],
        loss=sum(last) / len(last),
        dtype=dtype,
        device=device,
        prompt_tokens=sum(progress.prompt_tokens for progress in steps),
        sampled_tokens=sum(progress.sampled_tokens for progress in steps),
        executions=sum(progress.executions for progress in steps),
    )
