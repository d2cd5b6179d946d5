"""What a run in a pod of a cluster leaves on its disk, and in the storage."""

from pathlib import Path

from roundsmith.commands.exported import read_summary
from roundsmith.commands.run_on_cluster import keep_round
from roundsmith.platform.cluster_config import ClusterConfig
from tests.pipelines.platform.clusters import described
from tests.pipelines.report.rounds import SUMMARY
from tests.pipelines.store.test_published import local_copy, round_folder
from tests.storages import storage_url


def test_a_round_that_is_in_the_storage_takes_no_room_for_its_weights(tmp_path: Path) -> None:
    storage = storage_url("memory", tmp_path)
    cluster = ClusterConfig.model_validate(described() | {"storage": storage})
    folder, url = round_folder(tmp_path / "round-1"), f"{storage}/runs/first/round-1"
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "model.safetensors").write_bytes(b"weights")
    assert list(keep_round(cluster, folder, url)) == [f"kept: {url}"]
    assert not (folder / "checkpoint").exists()
    assert (folder / "report.html").exists()
    assert read_summary(url) == SUMMARY
    copy = local_copy(url, tmp_path / "copy")
    assert (copy / "checkpoint" / "model.safetensors").read_bytes() == b"weights"
