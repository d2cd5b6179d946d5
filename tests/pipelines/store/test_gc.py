"""Garbage collection: nothing that is needed goes, and what nothing needs does."""

import fcntl
import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from roundsmith.cli import app
from roundsmith.commands.promotions import keeps
from roundsmith.errors import StoreError
from roundsmith.lineage.history import History
from roundsmith.lineage.integrity import Findings, check_hashes, check_rows
from roundsmith.store import Manifest, ObjectRef, Store, step_key
from roundsmith.store.gc import collect, garbage
from roundsmith.store.leases import LEASE_S, Lease, Leases, leased, removing
from tests.pipelines.lineage.made import made_run, next_round, trained_again


def made(store: Store, random: Random, number: int) -> list[Manifest]:
    """Finished work at random: each made from some that was there, some sharing objects."""
    found: list[Manifest] = []
    for index in range(number):
        refs = [store.put_blob(str(random.randrange(2 * number)).encode()) for _ in range(2)]
        parents = tuple(m.hash for m in random.sample(found, min(len(found), random.randrange(3))))
        key = step_key("step", 1, {"index": index}, parents)
        found.append(store.commit(Manifest("step", key, tuple(refs), parents)))
    return found


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_all_that_a_root_rests_on_stays_and_the_rest_goes(seed: int, number: int) -> None:
    random = Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        every = made(store, random, number)
        stray = store.put_blob(b"stray")
        roots = {m.hash for m in random.sample(every, random.randrange(len(every) + 1))}
        by_hash, kept = {m.hash: m for m in every}, set(roots)
        for manifest in reversed(every):
            if manifest.hash in kept:
                kept |= set(manifest.parents)
        collect(store, garbage(store, lambda m: m.hash in roots, grace_s=-1.0))
        assert {m.hash for m in store.every_manifest()} == kept
        wanted = {ref for name in kept for ref in by_hash[name].objects}
        assert {name for name, _, _ in store.objects()} == {ref.hash for ref in wanted}
        for ref in wanted:
            store.check(ref)
        assert not store.has(stray)


def old(folder: Path, ref: ObjectRef) -> None:
    os.utime(folder / "objects" / ref.hash, (0, 0))


def test_an_object_of_work_under_way_stays_until_its_grace_is_over(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    young, left = store.put_blob(b"young"), store.put_blob(b"left")
    old(tmp_path, left)
    found = garbage(store)
    assert found.objects == (left.hash,)
    assert store.has(left), "nothing goes before it is asked for"
    collect(store, found)
    assert store.has(young)
    assert not store.has(left)


def test_an_old_orphan_that_is_made_again_is_as_young_as_the_work_that_needs_it(
    tmp_path: Path,
) -> None:
    store = Store(str(tmp_path))
    orphan = store.put_blob(b"of a run that was killed")
    old(tmp_path, orphan)
    assert garbage(store).objects == (orphan.hash,)
    assert store.put_blob(b"of a run that was killed") == orphan
    collect(store, garbage(store))
    store.check(orphan)


def test_a_store_with_a_manifest_that_can_not_be_read_is_left_alone(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    made(store, Random(1), 3)
    path = next((tmp_path / "manifests/step").iterdir())
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(fields | {"schema_version": 99}))
    with pytest.raises(StoreError, match="use the release of Roundsmith that wrote it"):
        garbage(store, lambda m: False)


def test_shards_stay_with_the_whole_that_they_are_of(tmp_path: Path) -> None:
    store = Store(str(tmp_path))

    def commit(step: str, parents: tuple[Manifest, ...], *refs: ObjectRef) -> Manifest:
        hashes = tuple(parent.hash for parent in parents)
        key = step_key(step, 1, {}, hashes, "".join(ref.hash for ref in refs))
        return store.commit(Manifest(step, key, refs, hashes))

    one, two, other = (store.put_blob(text) for text in (b"one", b"two", b"other"))
    model, forgotten = commit("model", (), one), commit("model", (), two)
    whole = commit("sample", (model,), one, two)
    stay = [whole, model, *(commit("sample-shard", (model,), ref) for ref in (one, two))]
    go = [
        forgotten,
        commit("sample-shard", (model,), other),
        commit("sample-shard", (forgotten,), one),
        commit("select", (model,), one),
    ]
    found = garbage(store, lambda manifest: manifest.hash == whole.hash)
    assert {m.hash for m in found.manifests} == {m.hash for m in go}
    collect(store, found)
    assert {m.hash for m in store.every_manifest()} == {m.hash for m in stay}
    assert not store.has(other)


@pytest.mark.parametrize("promoted", [(True, True, False), (True, False, False), (False,) * 3])
def test_every_promoted_checkpoint_is_whole_after_everything_else_went(
    tmp_path: Path, promoted: tuple[bool, bool, bool]
) -> None:
    runs = [made_run(tmp_path, promoted[0])]
    for word in promoted[1:]:
        runs.append(next_round(runs[-1], tmp_path, word))
    store = runs[0].context.store
    orphan = store.put_blob(b"left by a kill")
    old(Path(store.url), orphan)
    done = CliRunner().invoke(app, ["store", "gc", str(tmp_path), "--only-promoted"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("would remove (--yes removes it): ")
    assert store.has(orphan)
    done = CliRunner().invoke(app, ["store", "gc", str(tmp_path), "--only-promoted", "--yes"])
    assert done.exit_code == 0, done.output
    assert not store.has(orphan)
    for run, word in zip(runs, promoted, strict=True):
        if word:
            folder = store.folder(run.checkpoint.objects[0])
            target = store.fetch_folder(folder, tmp_path / f"copy-{run.context.round}")
            assert (target / "model.safetensors").exists()
            assert store.find(run.rows.step, run.rows.key) is not None
    findings = Findings()
    check_hashes(store, findings)
    check_rows(History(store), findings)
    assert findings.problems == []
    assert garbage(store, keeps(History(store))).objects == ()


def test_the_last_report_of_a_shorter_run_in_the_same_store_stays(tmp_path: Path) -> None:
    first = made_run(tmp_path, promoted=False)
    longer = next_round(first, tmp_path, promoted=False)
    shorter = trained_again(first, tmp_path, seed=1)
    history = History(first.context.store)
    stays = keeps(history)
    reports = {m.parents[-1]: m for m in history.of("report")}
    told = [reports[run.decision.hash] for run in (first, longer, shorter)]
    assert [stays(report) for report in told] == [False, True, True]


@pytest.mark.parametrize("named", ["{run}", "{run}/store", "file://{run}/store"])
def test_a_store_of_a_run_that_goes_on_is_left_alone_however_it_is_named(
    tmp_path: Path, named: str
) -> None:
    store = Store(str(tmp_path / "store"))
    made(store, Random(1), 1)
    left = store.put_blob(b"under way")
    command = ["store", "gc", named.format(run=tmp_path), "--grace-h", "0", "--yes"]
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = CliRunner().invoke(app, command)
        assert done.exit_code != 0
        assert store.has(left)
    assert CliRunner().invoke(app, command).exit_code == 0
    assert not store.has(left)


def finish(store: Store, step: str, *parents: Manifest) -> Manifest:
    """Work that was finished long ago."""
    ref, hashes = store.put_blob(step.encode()), tuple(parent.hash for parent in parents)
    done = store.commit(Manifest(step, step_key(step, 1, {}, hashes), (ref,), hashes))
    os.utime(f"{store.url.removeprefix('file://')}/manifests/{done.reference}.json", (0, 0))
    return done


def collected(url: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["store", "gc", url, "--only-promoted", "--yes", *options])


@pytest.mark.parametrize("grace", ["24", "0"])
def test_at_a_url_all_that_a_run_which_goes_on_may_rest_on_stays_however_old(
    tmp_path: Path, grace: str
) -> None:
    store = Store(f"file://{tmp_path}/store")
    tasks, model, kept = (finish(store, step) for step in ("tasks", "model", "kept"))
    before = finish(store, "evaluate", tasks, model)
    shard = finish(store, "sample-shard", model)
    other = finish(store, "other", kept)
    with leased(store.url, "run", alone=True) as hold:
        hold(tasks.reference)
        hold(model.reference)
        assert collected(store.url, "--grace-h", grace).exit_code == 0
        found = {m.hash for m in store.every_manifest()}
        assert found == {m.hash for m in (tasks, model, kept, before, shard)}
        assert other.hash not in found
        for manifest in (tasks, before, shard):
            store.check(manifest.objects[0])
    assert collected(store.url).exit_code == 0
    assert list(store.every_manifest()) == []


def test_the_lease_of_a_run_that_was_killed_counts_until_it_is_old(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/store")
    tasks = finish(store, "tasks")
    with suppress(KeyboardInterrupt), leased(store.url, "run", alone=True) as hold:
        hold(tasks.reference)
        raise KeyboardInterrupt
    lease = tmp_path / "store/leases/run.json"
    assert collected(store.url).exit_code == 0
    assert list(store.every_manifest()) == [tasks]
    os.utime(lease, (0, 0))
    assert collected(store.url).exit_code == 0
    assert list(store.every_manifest()) == []
    assert not lease.exists()


def test_a_lease_is_renewed_while_its_run_goes_on(tmp_path: Path) -> None:
    lease = tmp_path / "leases/run.json"
    leases = Leases(f"file://{tmp_path}")
    with Lease(leases, "run", alone=False, renew_s=0.05) as held:
        held.add("tasks/1")
        os.utime(lease, (0, 0))
        deadline = time.monotonic() + 300
        while lease.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert lease.stat().st_mtime > 0
    assert Leases(str(tmp_path)).references(60.0) == {"tasks/1"}


def test_a_run_that_begins_while_somebody_removes_is_refused_and_one_that_went_on_is_not(
    tmp_path: Path,
) -> None:
    url = f"file://{tmp_path}"
    with suppress(KeyboardInterrupt), leased(url, "round-1", alone=False) as hold:
        hold("tasks/1")
        raise KeyboardInterrupt
    with removing(url):
        refused = pytest.raises(StoreError, match=r"removals/.*: a `store gc --yes` or")
        with refused, leased(url, "run", alone=True):
            pass
        with leased(url, "round-1", alone=False):
            assert Leases(url).references(LEASE_S) == {"tasks/1"}
    with leased(url, "run", alone=True):
        pass
    assert list((tmp_path / "removals").iterdir()) == []
    assert [path.name for path in (tmp_path / "leases").iterdir()] == ["round-1.json"]


def test_nothing_is_removed_while_a_run_begins(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/store")
    tasks = finish(store, "tasks")
    with leased(store.url, "run", alone=True) as hold:
        done = collected(store.url)
        assert isinstance(done.exception, StoreError)
        assert "leases/run.json: a run begins in this store" in str(done.exception)
        assert list(store.every_manifest()) == [tasks]
        hold("tasks/other")
        assert collected(store.url).exit_code == 0
    assert list((tmp_path / "store/removals").iterdir()) == []


def test_with_a_lease_that_can_not_be_read_nothing_goes(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path}/store")
    tasks = finish(store, "tasks")
    (tmp_path / "store/leases").mkdir()
    (tmp_path / "store/leases/run.json").write_text("[]")
    done = collected(store.url)
    assert isinstance(done.exception, StoreError)
    assert "expected the lease of a run" in str(done.exception)
    assert list(store.every_manifest()) == [tasks]


def test_at_a_url_what_was_finished_a_moment_ago_stays_whether_it_is_promoted_or_not(
    tmp_path: Path,
) -> None:
    store = Store(str(tmp_path / "store"))
    young, *_, past = made(store, Random(3), 2)
    os.utime(tmp_path / f"store/manifests/{past.reference}.json", (0, 0))
    url = f"file://{tmp_path}/store"
    done = CliRunner().invoke(app, ["store", "gc", url, "--only-promoted", "--yes"])
    assert done.exit_code == 0, done.output
    assert [m.hash for m in store.every_manifest()] == [young.hash]
    for ref in young.objects:
        store.check(ref)
    done = CliRunner().invoke(app, ["store", "gc", url, "--only-promoted", "--yes", "--grace-h=0"])
    assert done.exit_code == 0, done.output
    assert list(store.every_manifest()) == []
