"""Work that reads a damaged object is begun again after what names the object was taken back, also
where it was read in tasks that ran side by side.
"""

import asyncio
import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.commands.run import mended
from roundsmith.errors import Corrupt, EngineError
from roundsmith.lineage.integrity import Findings, check_hashes
from roundsmith.store import Manifest, ObjectRef, Store
from roundsmith.store.leases import leased
from tests.pipelines.lineage.made import made_run


def kept(store: Store, step: str, content: bytes) -> Manifest:
    """Finished work of one blob."""
    return store.commit(Manifest(step, "0" * 64, (store.put_blob(content),)))


def damage(store: Store, ref: ObjectRef) -> None:
    path = Path(store.url) / "objects" / ref.hash
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def reader(store: Store, contents: dict[str, bytes]) -> Callable[[], list[bytes]]:
    """Work that reads the blob of each step in a task within a task, and makes what is not there;
    a step without content fails.
    """
    steps = {step: kept(store, step, content) for step, content in contents.items() if content}

    async def one(step: str) -> bytes:
        if step not in steps:
            raise EngineError("out of memory")
        made = store.find(step, "0" * 64) or kept(store, step, contents[step])
        return store.get_blob(made.objects[0])

    async def nested(step: str) -> bytes:
        async with asyncio.TaskGroup() as tasks:
            return await tasks.create_task(one(step))

    async def every() -> list[bytes]:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(nested(step)) for step in contents]
        return [task.result() for task in running]

    return lambda: asyncio.run(every())


def test_what_tasks_side_by_side_found_damaged_is_made_anew(tmp_path: Path) -> None:
    store, contents = Store(str(tmp_path)), {"one": b"first", "two": b"second", "three": b"third"}
    work = reader(store, contents)
    for step in ("one", "three"):
        damage(store, store.manifest(step, "0" * 64).objects[0])
    assert mended(store, work) == [b"first", b"second", b"third"]


def test_an_error_beside_a_damaged_object_is_raised(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    work = reader(store, {"one": b"first", "two": b""})
    damage(store, store.manifest("one", "0" * 64).objects[0])
    with pytest.raises(ExceptionGroup) as raised:
        mended(store, work)
    assert raised.value.subgroup(EngineError) is not None
    assert raised.value.subgroup(Corrupt) is None


def test_an_error_that_is_no_damage_is_raised_as_it_is(tmp_path: Path) -> None:
    def work() -> None:
        raise EngineError("out of memory")

    with pytest.raises(EngineError, match="out of memory"):
        mended(Store(str(tmp_path)), work)


def test_a_damaged_listing_of_a_model_folder_is_taken_back_and_so_is_other_damage_beside_it(
    tmp_path: Path,
) -> None:
    run = made_run(tmp_path)
    store, listing, rows = run.context.store, run.checkpoint.objects[0], run.rows.objects[0]
    for ref in (listing, rows):
        damage(store, ref)
    assert store.forget(rows.hash) == [run.rows]
    assert store.forget(listing.hash) == [run.checkpoint]
    assert not store.has(listing)


def test_what_no_step_reads_any_more_is_taken_back_by_store_mend(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    store, folder = run.context.store, Path(run.context.store.url).parent
    weights = max((f for _, f in store.files(run.model.objects[0])), key=lambda f: f.bytes)
    names = {manifest.reference for manifest in store.every_manifest()}
    for ref in (run.before.objects[0], weights):
        damage(store, ref)
    (Path(store.url) / "objects" / run.checkpoint.objects[0].hash).write_bytes(b"no listing")

    told = CliRunner().invoke(app, ["verify", str(folder), "--programs", "0"])
    assert (told.exit_code, told.output.split()[0]) == (1, "differs")
    assert "`roundsmith store mend`" in told.output
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert CliRunner().invoke(app, ["store", "mend", str(folder)]).exit_code != 0
    done = CliRunner().invoke(app, ["store", "mend", str(folder)])
    assert "damaged: 3 objects; taken back: 3 pieces of finished work; run again" in done.output
    lost = {run.before.reference, run.model.reference, run.checkpoint.reference}
    assert names - {manifest.reference for manifest in store.every_manifest()} == lost
    findings = Findings()
    check_hashes(store, findings)
    assert findings.problems == []
    again = CliRunner().invoke(app, ["store", "mend", str(folder)])
    assert again.output == "damaged: 0 objects; taken back: 0 pieces of finished work\n"


def test_nothing_is_mended_at_a_url_while_a_run_begins_there(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/store"
    Store(url).put_blob(b"whole")
    (tmp_path / "store/manifests").mkdir(exist_ok=True)
    with leased(url, "run", alone=True):
        refused = CliRunner().invoke(app, ["store", "mend", url])
        assert "a run begins in this store" in str(refused.exception)
    done = CliRunner().invoke(app, ["store", "mend", url])
    assert "damaged: 0 objects" in done.output
