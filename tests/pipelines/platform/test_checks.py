"""What `roundsmith doctor` looks at, on this machine and on one that lacks something."""

from pathlib import Path

from roundsmith.config import cpu_count
from roundsmith.hashing import weights_sha256
from roundsmith.lab import MODEL
from roundsmith.platform import checks

OPTIONAL = {"gpu", "hub", "kubeflow", "cores"}


def test_this_machine_can_run_a_round() -> None:
    found = {check.name: check for check in checks.checks()}
    assert [check for check in found.values() if not check.ok] == []
    assert found["cores"].detail == str(cpu_count())
    assert found["lab model"].detail.split()[-1] == weights_sha256(MODEL)[:16]
    assert found.keys() >= OPTIONAL
    assert all(check.detail for check in found.values())


def test_isolation_is_the_tier_that_the_executor_serves_and_says_what_it_leaves() -> None:
    found = checks.isolation()
    tier = found.detail.partition(":")[0]
    assert tier in checks.LEAVES
    assert "Not stopped" in found.detail
    assert bool(found.remedy) == (tier == "T1")


def test_a_folder_without_a_model_is_not_ok_and_says_what_to_do(tmp_path: Path) -> None:
    found = checks.lab_model(tmp_path)
    assert not found.ok
    assert "safetensors" in found.detail
    assert "roundsmith lab train" in found.remedy


def test_every_tier_says_what_it_does_not_stop() -> None:
    assert checks.LEAVES.keys() == {"T1", "T2", "T3"}
    assert all("Not stopped" in text for text in checks.LEAVES.values())
