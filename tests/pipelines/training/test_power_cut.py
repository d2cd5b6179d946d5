"""What says of a training whose it is, and that it is finished, is on the disk when it is there."""

from pathlib import Path

from roundsmith.training.folder import JobFolder
from roundsmith.training.result import RESULT_FILE, TrainingResult, write_result
from tests.pipelines.training.conftest import MakeJob
from tests.written import is_on_disk


def test_a_result_is_on_the_disk_before_the_model_that_it_is_of_is_in_its_place(
    tmp_path: Path,
) -> None:
    write_result(tmp_path, TrainingResult("a" * 64, 1, 1, 0, 10, 0.5, "float32", "cpu"))
    assert is_on_disk(tmp_path / RESULT_FILE)


def test_the_identity_of_a_job_is_on_the_disk_before_anything_is_trained(make_job: MakeJob) -> None:
    folder = JobFolder(make_job())
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.open()
    assert is_on_disk(folder.path / "job.json")
