"""A round played as pods, which go one after another, is the round that processes play, and is
played once.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roundsmith.store.kinds import EXAMPLES, GROUPS, RowKind
from roundsmith.store.parquet import read_file
from roundsmith.types import Example, Group
from tests.cluster.conftest import Installed, Rounds, submit
from tests.cluster.world import ROOT, Cluster

TRAINED_APART = 5e-7
"""Two processes add their gradients in another order than one does; after the few steps of this
round no weight shows more of that than four units in the last place of a number near 1.
"""


@pytest.fixture(scope="module")
def pods_folder(
    installed: Installed, rounds: Rounds, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The round of pods, fetched from where the log says that it is."""
    url = f"{installed.cluster.storage}/runs/first/round-1"
    assert url in rounds.log
    folder = tmp_path_factory.mktemp("pods") / "round-1"
    storage().get(url, str(folder), recursive=True)
    return folder


def storage() -> Any:
    """The S3 server as this machine reaches it."""
    import s3fs  # type: ignore[import-untyped]  # ships no types

    return s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)


def rows(folder: Path, kind: RowKind[Any]) -> Iterator[Any]:
    """The rows of a kind that a round's folder holds, in order."""
    for path in sorted((folder / "data").glob(f"*-{kind.name}-*.parquet")):
        yield from read_file(kind, path)


def without_place(example: Example) -> Example:
    """The row but for where its program ran."""
    return replace(example, provenance=replace(example.provenance, tier="", image=""))


def told(group: Group) -> tuple[Any, ...]:
    """A group but for where and how long its programs ran."""
    outcomes = sorted((o.code_id, o.test_id, o.verdict) for o in group.outcomes)
    samples = [(s.sample_id, s.text, s.logprob_sum) for s in group.samples]
    return group.task, samples, outcomes, dict(group.scores)


def test_the_selected_rows_are_those_of_processes(
    pods_folder: Path, round_of_processes: Path
) -> None:
    ours = [without_place(row) for row in rows(pods_folder, EXAMPLES)]
    theirs = [without_place(row) for row in rows(round_of_processes, EXAMPLES)]
    assert len(ours) > 8
    assert ours == theirs


def test_the_programs_of_pods_ran_in_the_sandbox_pod(
    pods_folder: Path, round_of_processes: Path
) -> None:
    places = [
        {(row.provenance.tier, row.provenance.image) for row in rows(folder, EXAMPLES)}
        for folder in (pods_folder, round_of_processes)
    ]
    drawn = [{place for place in found if any(place)} for found in places]
    assert all(drawn)
    assert drawn[0].isdisjoint(drawn[1])


def test_samples_verdicts_and_scores_are_those_of_processes(
    pods_folder: Path, round_of_processes: Path
) -> None:
    ours, theirs = ([told(g) for g in rows(f, GROUPS)] for f in (pods_folder, round_of_processes))
    assert ours == theirs
    assert any(outcomes for _, _, outcomes, _ in ours)


def test_the_checkpoint_is_that_of_one_process_but_for_rounding(
    pods_folder: Path, round_of_processes: Path
) -> None:
    from safetensors.torch import load_file

    base = ROOT / "pipelines/roundsmith/lab/model"
    ours, theirs, before = (
        load_file(folder / "model.safetensors")
        for folder in (pods_folder / "checkpoint", round_of_processes / "checkpoint", base)
    )
    assert set(ours) == set(theirs)
    apart, moved = (
        max(float((ours[n].float() - other[n].float()).abs().max()) for n in ours)
        for other in (theirs, before)
    )
    assert apart <= TRAINED_APART < moved / 20


def test_a_second_round_on_the_same_store_recomputes_nothing(
    installed: Installed, rounds: Rounds
) -> None:
    cluster = installed.cluster
    before = listing(cluster)
    assert any("/store/" in name for name in before)
    with cluster.watched("pytorchjobs") as made:
        submit(cluster, "second")
    assert made == []
    after = listing(cluster)
    new = ("/runs/second/", "/promoted/")  # its files, and that its checkpoint was served again
    kept, were = (
        {name: seen for name, seen in found.items() if not any(part in name for part in new)}
        for found in (after, before)
    )
    assert kept == were


def listing(cluster: Cluster) -> dict[str, tuple[int, str]]:
    """The size and the time of everything in the storage."""
    found = storage().find(cluster.storage, detail=True)
    return {name: (int(o["size"]), str(o["LastModified"])) for name, o in found.items()}
