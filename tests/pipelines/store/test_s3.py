"""What the store promises on a real S3, with networks and servers that fail."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import fsspec  # type: ignore[import-untyped]  # ships no types
import pytest
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]  # none

from roundsmith.config import child_environment
from roundsmith.errors import ConfigError, StoreError
from roundsmith.store import Manifest, Store, step_key
from tests.faulty_s3 import CUT, DROP, LOST, STALL, faulty_s3, refusal
from tests.storages import s3_bucket, storage_url

KEY = step_key("select", 1, {"k": 8}, ())
SLOW_DOWN = refusal("503 Slow Down", "SlowDown")
BEGIN = """
import sys
from roundsmith.errors import RoundsmithError
from roundsmith.store import Manifest, ObjectRef, Store, step_key
KEY = step_key("select", 1, {"k": 8}, ())
try:
    store = Store(sys.argv[1])
"""
END = """
except RoundsmithError as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def s3(tmp_path: Path) -> str:
    return storage_url("s3", tmp_path)


def tell(root: str, code: str, **environment: str) -> str:
    """What a process prints that runs `code` on the `store` of this root."""
    source = BEGIN + "".join(f"    {line}\n" for line in code.splitlines()) + END
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source, root],
        env=child_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_what_another_process_commits_is_seen_at_once(s3: str) -> None:
    store = Store(s3)
    for number in range(2):
        key = step_key("select", 1, {"k": number}, ())
        assert store.find("select", key) is None
        assert len(list(store.manifests("select"))) == number
        tell(s3, f"store.commit(Manifest('select', {key!r}))")
        assert store.find("select", key) == Manifest("select", key)
        assert len(list(store.manifests("select"))) == number + 1


def test_what_another_process_takes_back_is_gone_at_once(s3: str) -> None:
    store = Store(s3)
    manifest = store.commit(Manifest("select", KEY))
    assert list(store.manifests("select")) == [manifest]
    tell(s3, "store.discard(store.find('select', KEY))")
    assert store.find("select", KEY) is None
    assert list(store.manifests("select")) == []


def test_of_processes_that_commit_at_once_one_wins(s3: str) -> None:
    Store(s3)
    code = "print(store.commit(Manifest('select', KEY, stats={'by': sys.argv[2]})).stats['by'])"
    command = [sys.executable, "-c", f"{BEGIN}    {code}{END}", s3]
    writers = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True)
        for number in range(4)
    ]
    winners = {writer.communicate()[0].strip() for writer in writers}
    assert len(winners) == 1
    manifest = Store(s3).find("select", KEY)
    assert manifest is not None
    assert {manifest.stats["by"]} == winners


@pytest.mark.slow
def test_an_object_that_goes_up_in_parts_comes_back(s3: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    with (tmp_path / "model" / "model.safetensors").open("wb") as stream:
        for _ in range(107):  # more than twice the 50 MiB of a part, and no multiple of them
            stream.write(os.urandom(2**20))
    store = Store(s3)
    ref = store.put_folder(tmp_path / "model")
    url = store.publish_folder(ref, f"{s3}/checkpoint")
    system, path = fsspec.core.url_to_fs(url)
    assert system.info(f"{path}/model.safetensors")["size"] == 107 * 2**20
    store.fetch_folder(ref, tmp_path / "again")


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"),
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
            'saw Could not connect to the endpoint URL: "http://127.0.0.1:9/',
        ),
    ],
)
def test_wrong_keys_and_a_server_that_is_not_there_are_one_clear_error(
    s3: str, environment: dict[str, str], told: str
) -> None:
    text = tell(s3, "print(store.find('select', KEY))", **environment)
    assert text.startswith(f"StoreError: {s3}: expected storage that can be read and written, saw ")
    assert told in text


def test_a_bucket_that_is_not_there_does_not_look_empty() -> None:
    with pytest.raises(StoreError, match="saw The specified bucket does not exist: check that"):
        Store(f"{s3_bucket()}-nobody-made/root")


def test_a_url_without_a_bucket_or_of_an_unknown_kind_is_refused() -> None:
    pytest.importorskip("s3fs")
    with pytest.raises(ConfigError, match="expected s3://bucket/prefix, saw no bucket"):
        Store("s3://")
    with pytest.raises(ConfigError, match="Protocol not known: s4: for s3:// install what"):
        Store("s4://bucket/prefix")


@pytest.mark.parametrize("faults", [(SLOW_DOWN, SLOW_DOWN), (DROP, DROP)], ids=["503", "drop"])
@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD"])
def test_a_server_that_fails_for_a_moment_is_asked_again(
    s3: str, method: str, faults: tuple[bytes, ...]
) -> None:
    code = (
        "ref = store.put_blob(b'x' * 9999)\n"
        "store.commit(Manifest('select', KEY, (ref,)))\n"
        "print(store.get_blob(store.find('select', KEY).objects[0]) == b'x' * 9999)"
    )
    with faulty_s3(method, *faults) as server:
        assert tell(s3, code, AWS_ENDPOINT_URL=server.url) == "True\n"
        assert server.faults == []


IMPATIENT = json.dumps({"attempt_s": 5.0, "attempts": 3})
"""What fsspec reads of its own variable."""


@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD"])
def test_a_server_that_stalls_is_asked_again(s3: str, method: str) -> None:
    code = (
        "ref = store.put_blob(b'x' * 9999)\n"
        "store.commit(Manifest('select', KEY, (ref,)))\n"
        "print(store.get_blob(store.find('select', KEY).objects[0]) == b'x' * 9999)"
    )
    with faulty_s3(method, STALL) as server:  # of three attempts a busy server has two
        assert tell(s3, code, AWS_ENDPOINT_URL=server.url, FSSPEC_S3=IMPATIENT) == "True\n"
        assert server.faults == []


def test_a_server_that_stalls_for_good_is_a_clear_stop(s3: str) -> None:
    ref = Store(s3).put_blob(b"kept")
    code = "store.put_blob(b'more')"
    begun = time.monotonic()
    with faulty_s3("PUT", *[STALL] * 100) as server:
        told = tell(s3, code, AWS_ENDPOINT_URL=server.url, FSSPEC_S3=IMPATIENT)
        asked = 100 - len(server.faults)
    assert told.startswith(f"StoreError: {s3}/objects/"), told
    assert "no answer to put_object within 5 s, 3 times" in told
    assert "check AWS_ENDPOINT_URL" in told
    assert "finished shards are kept" in told
    assert asked == 3
    assert time.monotonic() - begun < 240
    assert Store(s3).get_blob(ref) == b"kept"


def test_a_download_that_breaks_off_goes_on(s3: str) -> None:
    ref = Store(s3).put_blob(b"x" * 10**6)
    code = f"print(store.get_blob(ObjectRef({ref.hash!r}, 'blob', 0, 10**6)) == b'x' * 10**6)"
    with faulty_s3(f"GET /{s3.removeprefix('s3://')}/objects/", CUT, CUT) as server:
        assert tell(s3, code, AWS_ENDPOINT_URL=server.url) == "True\n"
        assert server.faults == []


def test_a_commit_that_meets_another_under_way_is_tried_again(s3: str) -> None:
    conflict = refusal("409 Conflict", "ConditionalRequestConflict")
    code = "print(store.commit(Manifest('select', KEY, stats={'mine': 1})).stats)"
    with faulty_s3("PUT", conflict, conflict) as server:
        assert tell(s3, code, AWS_ENDPOINT_URL=server.url) == "{'mine': 1}\n"
        assert server.faults == []


def test_a_commit_whose_answer_is_lost_stands(s3: str) -> None:
    code = "print(store.commit(Manifest('select', KEY, stats={'mine': 1})).stats)"
    with faulty_s3(f"PUT /{s3.removeprefix('s3://')}/manifests", LOST) as server:
        assert tell(s3, code, AWS_ENDPOINT_URL=server.url) == "{'mine': 1}\n"
        assert server.faults == []


def test_a_refusal_that_does_not_name_its_condition_is_another_writers_commit(s3: str) -> None:
    Store(s3).commit(Manifest("select", KEY, stats={"first": 1}))
    refused = refusal("412 Precondition Failed", "PreconditionFailed")
    code = "print(store.commit(Manifest('select', KEY, stats={'mine': 1})).stats)"
    with faulty_s3("PUT", refused, refused) as server:
        assert tell(s3, code, AWS_ENDPOINT_URL=server.url) == "{'first': 1}\n"
        assert server.faults == []


class Careless(MemoryFileSystem):  # type: ignore[misc]  # ships no types
    """Storage that takes a conditional put for a plain one, as an old S3 server does."""

    protocol = "careless"

    def pipe_file(
        self, path: str, value: bytes, mode: str = "overwrite", **options: object
    ) -> None:
        super().pipe_file(path, value)


def test_storage_that_overwrites_what_it_must_not_is_refused_before_the_first_commit() -> None:
    fsspec.register_implementation("careless", Careless, clobber=True)
    store = Store("careless://bucket/root")
    manifest = Manifest("select", KEY, (store.put_blob(b"x"),))
    with pytest.raises(StoreError, match="expected storage that refuses to create a file twice"):
        store.commit(manifest)
    assert store.find("select", KEY) is None


def test_an_object_that_was_changed_or_lost_on_the_server_is_not_read(s3: str) -> None:
    store = Store(s3)
    changed, lost = store.put_blob(b"right"), store.put_blob(b"lost")
    system, path = fsspec.core.url_to_fs(s3)
    system.pipe_file(f"{path}/objects/{changed.hash}", b"wrong")
    system.rm_file(f"{path}/objects/{lost.hash}")
    for ref, seen in ((changed, "saw [0-9a-f]{64}:"), (lost, "saw no such file")):
        with pytest.raises(StoreError, match=f"expected bytes with sha256 {ref.hash}, {seen}"):
            store.get_blob(ref)
