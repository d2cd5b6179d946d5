"""What is told of a training that was stopped and gone on with."""

from dataclasses import replace
from pathlib import Path

from roundsmith.training.area import TrainingArea
from roundsmith.training.folder import JobFolder
from roundsmith.training.job import TrainingJob
from roundsmith.training.keeping import FolderKeeping, StoredKeeping
from roundsmith.training.progress import Progress, ProgressLog, ProgressTail, read_progress

LINES = [Progress(step, 4, 1.0 / step, 1e-4, 900.0, 4.0 - step) for step in range(1, 5)]


def test_only_lines_that_are_written_after_a_restart_are_told(tmp_path: Path) -> None:
    log = ProgressLog(tmp_path)
    log.replace(LINES)
    tail = ProgressTail(lambda: read_progress(log.path), seen=read_progress(log.path))
    assert tail.fresh() == []
    log.restart(2)
    assert tail.fresh() == []
    again = [replace(line, tokens_per_s=700.0) for line in LINES[2:]]
    log.add(again[0])
    assert tail.fresh() == [again[0]]
    log.add(again[1])
    assert tail.fresh() == [again[1]]
    assert tail.fresh() == []


def test_lines_written_again_between_two_looks_are_told_whole(tmp_path: Path) -> None:
    log = ProgressLog(tmp_path)
    log.replace(LINES)
    tail = ProgressTail(lambda: read_progress(log.path), seen=read_progress(log.path))
    again = [replace(line, tokens_per_s=700.0) for line in LINES]
    log.replace(again)
    assert tail.fresh() == again


class Alone:
    """The only process of a training."""

    is_main_process = is_local_main_process = True
    num_processes, process_index = 1, 0

    def wait_for_everyone(self) -> None:
        """There is nobody else."""


def job_folder(path: Path) -> JobFolder:
    """A folder with a checkpoint of two steps that is still to be kept."""
    job = TrainingJob(model=path / "model", rows=(path / "rows",), objective="grpo", out=path)
    folder = JobFolder(job)
    partial = folder.work / "checkpoint-2"
    partial.mkdir(parents=True)
    folder.checkpoints.mkdir()
    (partial / "state").touch()
    return folder


def test_lines_are_kept_with_the_checkpoint_that_they_lead_to(tmp_path: Path) -> None:
    folder = job_folder(tmp_path)
    keeping = FolderKeeping(folder, Alone())
    keeping.progress.replace(LINES[:2])
    keeping.keep_checkpoint(folder.work / "checkpoint-2")
    keeping.progress.add(LINES[2])
    keeping.progress.path.write_text("")  # as a machine that went down may leave it
    again = FolderKeeping(folder, Alone())
    checkpoint, step = again.last_checkpoint()
    again.progress.restart(step, checkpoint)
    assert list(read_progress(again.progress.path)) == LINES[:2]


def test_lines_that_the_storage_was_not_told_are_in_the_checkpoint(tmp_path: Path) -> None:
    area = TrainingArea(str(tmp_path / "area"))
    folder = job_folder(tmp_path / "disk")
    keeping = StoredKeeping(area, folder, Alone())
    keeping.progress.replace(LINES[:2])
    keeping.keep_checkpoint(folder.work / "checkpoint-2")
    area.tell("")  # what was told after it never came
    again = StoredKeeping(area, job_folder(tmp_path / "other"), Alone())
    checkpoint, step = again.last_checkpoint()
    again.progress.restart(step, checkpoint)
    assert list(read_progress(again.progress.path)) == LINES[:2]


def test_a_checkpoint_of_an_earlier_release_goes_on_with_the_lines_beside_it(
    tmp_path: Path,
) -> None:
    log = ProgressLog(tmp_path)
    log.replace(LINES)
    (tmp_path / "checkpoint-2").mkdir()
    log.restart(1, tmp_path / "checkpoint-2")
    assert list(read_progress(log.path)) == LINES[:1]
