"""What is told of a training that was stopped and gone on with."""

from dataclasses import replace
from pathlib import Path

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
