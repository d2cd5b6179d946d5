"""`roundsmith run --cluster`: the same rounds against a cluster's services, in a pod of their own.

Nothing here imports torch: the image of this pod has none.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from roundsmith.commands.run import check, play
from roundsmith.config import owning_job
from roundsmith.platform.cluster import ClusterPlatform, on_cluster
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.handing_on import hand_on
from roundsmith.report.summary import Summary
from roundsmith.steps.config import RunConfig
from roundsmith.store.exports import copy_round


def run_on_cluster(config: RunConfig, file: Path, out: Path, console: Console) -> list[Summary]:
    """Plays the rounds of a run; each ends as files in the folder `out` and, under the folder's
    name, in `runs/` of the storage root.

    Raises ConfigError before anything is asked of the cluster when the settings are wrong.
    """
    cluster = ClusterConfig.read(file)
    config = on_cluster(config, cluster, check(config).stages())
    run = cluster.run(out.resolve().name)

    def keep(folder: Path) -> None:
        for line in keep_round(cluster, folder, f"{run}/{folder.name}"):
            console.print(line, markup=False)

    platform = ClusterPlatform(cluster, owners=_owners())
    return play(config, out, cluster.store, platform, console, keep, run)


def keep_round(cluster: ClusterConfig, folder: Path, url: str) -> Iterator[str]:
    """Copies a round's folder to the storage, and hands its checkpoint on; says what was done. The
    pod's disk keeps no weights of it: it need not hold those of all rounds.
    """
    copy_round(folder, url)
    shutil.rmtree(folder / "checkpoint")
    yield f"kept: {url}"
    yield from hand_on(cluster, url)


def _owners() -> list[dict[str, object]]:
    """The Job of this pod: what the run starts goes when it is removed."""
    job = owning_job()
    if job is None:
        return []
    name, uid = job
    return [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}]
