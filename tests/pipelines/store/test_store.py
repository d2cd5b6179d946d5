"""What the store promises: whole or absent, checked, committed once, on folders and object
stores alike.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from roundsmith.errors import ConfigError, StoreError
from roundsmith.hashing import file_sha256, weights_sha256
from roundsmith.store import EXAMPLES, PAIRS, Manifest, Store, step_key
from roundsmith.types import Example, Provenance
from tests.small_disk import run_with
from tests.storages import EVERY, storage_url

KEY = step_key("select", 1, {"k": 8}, ())


@pytest.fixture(params=EVERY)
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return storage_url(request.param, tmp_path)


def examples(number: int) -> list[Example]:
    return [Example(f"e{i}", f"p{i}", "c", Provenance("t", "rft", 0)) for i in range(number)]


def finished(store: Store, number: int = 3, **changed: object) -> Manifest:
    ref = store.write_rows(EXAMPLES, examples(number))
    manifest = Manifest("select", KEY, (ref,), config={"k": 8}, stats={"kept": number})
    return replace(manifest, **changed)  # type: ignore[arg-type]  # fields by name


def test_committed_rows_are_found_and_read_by_another_store_on_the_same_root(root: str) -> None:
    store = Store(root)
    assert store.find("select", KEY) is None
    manifest = store.commit(finished(store))
    other = Store(root)
    assert other.find("select", KEY) == manifest
    assert list(other.manifests("select")) == [manifest]
    assert list(other.manifests("train")) == []
    assert list(other.read_all(EXAMPLES, manifest)) == examples(3)
    assert manifest.rows == 3


def test_the_first_commit_stands(root: str) -> None:
    store = Store(root)
    first = store.commit(finished(store, 3))
    second = store.commit(finished(store, 4))
    assert second == first
    assert list(store.read_all(EXAMPLES, second)) == examples(3)


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_of_many_writers_at_once_all_see_one_winner(tmp_path: Path, kind: str) -> None:
    root = storage_url(kind, tmp_path)
    store = Store(root)
    stood: list[Manifest] = []

    def commit(manifest: Manifest) -> None:
        stood.append(Store(root).commit(manifest))

    made = [finished(store, number) for number in range(8)]
    threads = [threading.Thread(target=commit, args=(manifest,)) for manifest in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stood) == 8
    assert {manifest.hash for manifest in stood} < {manifest.hash for manifest in made}
    assert len({manifest.hash for manifest in stood}) == 1


def test_equal_rows_are_one_object(root: str) -> None:
    store = Store(root)
    assert store.write_rows(EXAMPLES, examples(3)) == store.write_rows(EXAMPLES, examples(3))


def test_changed_bytes_are_never_read(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    ref = store.write_rows(EXAMPLES, examples(3))
    path = tmp_path / "objects" / ref.hash
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=f"expected bytes with sha256 {ref.hash}, saw "):
        next(store.read_rows(EXAMPLES, ref))


def test_work_whose_object_was_cut_short_counts_as_not_done_and_can_be_done_again(
    tmp_path: Path,
) -> None:
    store = Store(str(tmp_path))
    manifest = store.commit(finished(store))
    path = tmp_path / "objects" / manifest.objects[0].hash
    path.write_bytes(path.read_bytes()[:-5])
    assert store.find("select", KEY) is None
    again = store.commit(finished(store))
    assert store.find("select", KEY) == again == manifest
    assert list(store.read_all(EXAMPLES, again)) == examples(3)


def test_a_manifest_of_an_object_that_is_not_there_is_not_committed(root: str) -> None:
    store = Store(root)
    manifest = finished(store)
    ghost = replace(manifest.objects[0], hash="0" * 64)
    with pytest.raises(StoreError, match="to commit, saw none"):
        store.commit(replace(manifest, objects=(ghost,)))
    assert store.find("select", KEY) is None


def test_rows_of_another_kind_are_refused(root: str) -> None:
    store = Store(root)
    ref = store.write_rows(EXAMPLES, examples(1))
    with pytest.raises(StoreError, match="expected pair rows, saw example"):
        next(store.read_rows(PAIRS, ref))


def rewritten(root: Path, **fields: object) -> Path:
    store = Store(str(root))
    store.commit(finished(store))
    path = root / "manifests" / "select" / f"{KEY}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return path


def test_a_manifest_of_a_later_version_is_refused(tmp_path: Path) -> None:
    rewritten(tmp_path, schema_version=3)
    with pytest.raises(StoreError, match="schema version 2 or lower, saw 3: use the release"):
        Store(str(tmp_path)).find("select", KEY)


def test_a_manifest_of_the_first_version_is_read_and_trusted_less(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    old = finished(store, schema_version=1)
    store.commit(old)
    text = (tmp_path / "manifests" / "select" / f"{KEY}.json").read_text()
    assert "reproducible" not in text
    assert store.find("select", KEY) == replace(old, reproducible="distribution")


@pytest.mark.parametrize(
    "change",
    [
        {"stats": {"kept": 4}},
        {"objects": [{}]},
        {"hash": "0"},
        {"config": ["kept"]},
        {"schema_version": "2"},
        {"schema_version": None},
    ],
)
def test_a_manifest_that_was_changed_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    rewritten(tmp_path, **change)
    with pytest.raises(StoreError, match="expected a whole manifest"):
        Store(str(tmp_path)).find("select", KEY)


def test_half_a_manifest_is_refused(tmp_path: Path) -> None:
    path = rewritten(tmp_path)
    path.write_text(path.read_text()[:40])
    with pytest.raises(StoreError, match="expected a whole manifest"):
        Store(str(tmp_path)).find("select", KEY)


def test_a_manifest_of_other_bytes_is_refused_without_telling_them_all(tmp_path: Path) -> None:
    path = rewritten(tmp_path)
    path.write_bytes(b"\xc8" * 2**16)
    with pytest.raises(StoreError, match="expected a whole manifest") as refused:
        Store(str(tmp_path)).find("select", KEY)
    assert len(str(refused.value)) < 1000


def test_cost_and_code_version_are_in_no_hash_and_everything_else_is(tmp_path: Path) -> None:
    manifest = finished(Store(str(tmp_path)))
    same = replace(manifest, cost={"seconds": 2.5}, code_version="abc")
    assert same.hash == manifest.hash
    changes = [{"stats": {}}, {"config": {}}, {"parents": ("0" * 64,)}, {"objects": ()}]
    hashes = {replace(manifest, **change).hash for change in changes}  # type: ignore[arg-type]  # by name
    assert len(hashes | {manifest.hash}) == 5


def test_a_key_depends_on_step_version_config_parents_and_shard() -> None:
    base = ("select", 1, {"k": 8}, ("0" * 64,), 0)
    others = [
        ("train", 1, {"k": 8}, ("0" * 64,), 0),
        ("select", 2, {"k": 8}, ("0" * 64,), 0),
        ("select", 1, {"k": 9}, ("0" * 64,), 0),
        ("select", 1, {"k": 8}, (), 0),
        ("select", 1, {"k": 8}, ("0" * 64,), 1),
    ]
    assert len({step_key(*base)} | {step_key(*other) for other in others}) == 6


def test_a_failure_while_rows_are_written_leaves_nothing(tmp_path: Path) -> None:
    def rows() -> Iterator[Example]:
        yield from examples(2)
        raise TimeoutError("the generator is gone")

    store = Store(str(tmp_path))
    with pytest.raises(TimeoutError, match="the generator is gone"):
        store.write_rows(EXAMPLES, rows())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_a_killed_writer_left_is_swept_after_a_day(tmp_path: Path) -> None:
    Store(str(tmp_path))
    old, young = (tmp_path / f"tmp/roundsmith.9.{digit * 32}.elsewhere" for digit in "01")
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    Store(str(tmp_path))
    assert not old.exists()
    assert young.exists()


def test_a_root_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="expected storage that can be read and written"):
        Store(str(tmp_path / "file" / "store"))


def model_folder(path: Path) -> Path:
    path.mkdir()
    (path / "model.safetensors").write_bytes(b"weights")
    (path / "config.json").write_text("{}")
    (path / "sub").mkdir()
    (path / "sub" / "note.md").write_text("kept too")
    return path


def test_a_model_folder_comes_back_whole_under_its_weight_version(
    root: str, tmp_path: Path
) -> None:
    folder = model_folder(tmp_path / "model")
    store = Store(root)
    ref = store.put_folder(folder)
    assert ref.weights_sha256 == weights_sha256(folder)
    assert ref.object.rows == 3
    assert store.folder(ref.object) == ref
    target = store.fetch_folder(ref, tmp_path / "copy")
    assert weights_sha256(target) == ref.weights_sha256
    assert (target / "sub" / "note.md").read_text() == "kept too"
    assert store.fetch_folder(ref, target) == target
    assert sorted(path.name for path in tmp_path.glob(".*")) == []


def test_a_model_folder_without_safetensors_is_refused(root: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a Hugging Face folder"):
        Store(root).put_folder(tmp_path)


def test_another_model_at_the_target_is_not_overwritten(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    store = Store(str(tmp_path / "store"))
    ref = store.put_folder(folder)
    (folder / "config.json").write_text('{"other": 1}')
    with pytest.raises(StoreError, match="expected the model folder with weights"):
        store.fetch_folder(ref, folder)


def test_a_blob_and_a_fetched_file_have_the_stored_bytes(root: str, tmp_path: Path) -> None:
    store = Store(root)
    ref = store.put_blob(b"report")
    assert store.get_blob(ref) == b"report"
    assert store.fetch(ref, tmp_path / "new" / "report").read_bytes() == b"report"


FULL = """
import sys
from roundsmith.errors import StoreError
from roundsmith.store import EXAMPLES, Manifest, Store
from roundsmith.types import Example, Provenance
import hashlib
store = Store(sys.argv[1])
def row(i):
    noise = "".join(hashlib.sha512(f"{i} {j}".encode()).hexdigest() for j in range(40))
    return Example(f"e{i}", noise, "c", Provenance("t", "rft", 0))
small = store.write_rows(EXAMPLES, [row(0)])
for attempt in range(2):
    try:
        store.write_rows(EXAMPLES, map(row, range(4000)))
    except StoreError as error:
        print(error)
assert list(store.read_rows(EXAMPLES, small)) == [row(0)]
store.commit(Manifest("select", "0" * 64, (small,)))
"""


def test_a_full_disk_is_one_clear_error_that_loses_nothing(tmp_path: Path) -> None:
    done = run_with(tmp_path, FULL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("expected room to write, saw No space left on device: free space") == 2
    assert done.stderr == ""


def test_a_writer_killed_at_any_moment_leaves_work_done_or_not_done(tmp_path: Path) -> None:
    script = (
        "import sys; from tests.pipelines.store.test_store import finished; "
        "from roundsmith.store import Store; store = Store(sys.argv[1]); print('go', flush=True); "
        "[store.discard(store.commit(finished(store, n))) for n in range(10**6)]"
    )
    for wait_s in (0.0, 0.02, 0.05):
        command = [sys.executable, "-c", script, str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        threading.Event().wait(wait_s)
        process.kill()
        process.communicate()
        store = Store(str(tmp_path))
        manifest = store.find("select", KEY)
        if manifest is not None:
            assert list(store.read_all(EXAMPLES, manifest)) == examples(manifest.rows)
        for path in (tmp_path / "objects").glob("*"):
            assert path.name == file_sha256(path)
