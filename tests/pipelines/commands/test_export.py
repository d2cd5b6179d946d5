"""The folder of a round holds what the round made, and nothing of what was there before."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from roundsmith.commands.exported import export
from roundsmith.errors import StoreError
from roundsmith.hashing import weights_sha256
from roundsmith.lab import MODEL
from roundsmith.report.summary import Summary, from_json, to_json
from roundsmith.round import RoundRefs
from roundsmith.steps import run_step
from roundsmith.steps.context import Context, Made, reference
from roundsmith.store import GROUPS, RESULTS
from roundsmith.types import Group
from tests.pipelines.recipes.groups import TASK
from tests.pipelines.report.rounds import SUMMARY
from tests.pipelines.steps.contexts import context
from tests.small_disk import grow, mounted


def played(ctx: Context, summary: Summary, num_groups: int, page: str = "") -> RoundRefs[str]:
    """A round that made one object of groups for each group, with this on its page."""

    async def groups() -> Made:
        return Made(
            [ctx.store.write_rows(GROUPS, [Group(TASK, (), ())]) for _ in range(num_groups)]
        )

    async def report() -> Made:
        texts = (to_json(summary), f"<html>{num_groups}{page}</html>")
        blobs = [ctx.store.put_blob(text.encode()) for text in texts]
        return Made([*blobs, ctx.store.write_rows(RESULTS, ())])

    async def play() -> RoundRefs[str]:
        tasks, model = await run_step(ctx, "load_tasks"), await run_step(ctx, "load_model")
        scored = reference(await ctx.once("score", 1, {"groups": num_groups}, (), groups))
        told = reference(await ctx.once("report", 1, {"groups": num_groups}, (), report))
        return RoundRefs(tasks, model, scored, scored, scored, model, "", "", "", told)

    return asyncio.run(play())


def test_a_second_run_in_the_same_folder_leaves_nothing_of_the_first_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ctx, folder = context(tmp_path, limit=2, eval_limit=1), tmp_path / "round-1"
    other = replace(SUMMARY, result=replace(SUMMARY.result, seed=8))
    assert export(ctx, played(ctx, SUMMARY, 3), folder) == SUMMARY
    export(ctx, played(ctx, SUMMARY, 3), folder)  # of the same run: nothing is said
    assert not [told for told in caplog.messages if "now holds" in told]
    assert len(list(folder.glob("data/groups-*.parquet"))) == 3
    export(ctx, played(ctx, other, 1), folder)
    [told] = [told for told in caplog.messages if "now holds" in told]
    assert f"seed {other.result.seed}" in told
    assert from_json((folder / "summary.json").read_text()) == from_json(to_json(other))
    assert (folder / "report.html").read_text() == "<html>1</html>"
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint",
        "data",
        "report.html",
        "summary.json",
    ]
    assert len(list(folder.glob("data/groups-*.parquet"))) == 1
    assert weights_sha256(folder / "checkpoint") == weights_sha256(MODEL)


def test_an_export_that_was_killed_is_made_whole(tmp_path: Path) -> None:
    ctx, folder = context(tmp_path, limit=2, eval_limit=1), tmp_path / "round-1"
    refs = played(ctx, SUMMARY, 2)
    for left in ("data/groups-groups-0099.parquet", ".partial/data/x.parquet", ".partial/stray"):
        (folder / left).parent.mkdir(parents=True, exist_ok=True)
        (folder / left).write_bytes(b"half")
    export(ctx, refs, folder)
    names = {path.name for path in folder.rglob("*.parquet")}
    assert names & {"groups-groups-0099.parquet", "x.parquet"} == set()
    assert not (folder / ".partial").exists()


def test_a_full_disk_is_told_by_the_folder_that_lacks_room_and_what_was_there_stays(
    tmp_path: Path,
) -> None:
    ctx = context(tmp_path, limit=2, eval_limit=1)
    refs = played(ctx, SUMMARY, 1, page="x" * 2**21)
    export(ctx, refs, tmp_path / "whole")
    files = [p for p in (tmp_path / "whole").rglob("*") if p.is_file()]
    bytes_ = sum(path.stat().st_size for path in files)
    with mounted(tmp_path / "small", "1m") as small:
        folder = small / "round-1"
        folder.mkdir()
        (folder / "summary.json").write_text("of before")
        for size in ("1m", str(bytes_ - 2**20)):  # neither the weights fit, nor then the page
            grow(small, size)
            with pytest.raises(
                StoreError, match="expected room to write, saw No space left"
            ) as told:
                export(ctx, refs, folder)
            assert str(told.value).startswith(str(folder))
            assert (folder / "summary.json").read_text() == "of before"
        grow(small, "64m")
        assert export(ctx, refs, folder) == SUMMARY
