"""A service loads checkpoints from under its storage root only, checked, and keeps the last two."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]  # ships no types
import pytest
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]  # none

from roundsmith.errors import ConfigError, StoreError, Unavailable, WeightsMismatch
from roundsmith.hashing import weights_sha256
from roundsmith.serve.cache import WeightsCache
from roundsmith.serve.checkpoints import Checkpoints, checkpoints_under
from roundsmith.storage import open_storage
from tests.small_disk import run_with
from tests.storages import REMOTE, storage_url

NONE = "0" * 64


@pytest.fixture(params=REMOTE)
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return storage_url(request.param, tmp_path)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def checkpoints(root: str, cache: Path) -> Iterator[Checkpoints]:
    found = checkpoints_under(root, cache)
    yield found
    found.close()


def put(root: str, name: str, weights: bytes = b"weights", **files: bytes) -> tuple[str, str]:
    """A checkpoint under the root: its URI and weight version."""
    uri = f"{root}/{name}"
    system, path = open_storage(uri)
    content = {"model.safetensors": weights, "config.json": b"{}"} | files
    for file, data in content.items():
        system.pipe_file(f"{path}/{file}", data)
    return uri, version(content)


def version(content: dict[str, bytes]) -> str:
    """What `weights_sha256` says of a folder of these files."""
    with tempfile.TemporaryDirectory() as folder:
        for file, data in content.items():
            target = Path(folder, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return weights_sha256(Path(folder))


def kept(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()} - {".lock"}


def test_a_checkpoint_comes_whole_without_what_its_version_does_not_cover(
    root: str, checkpoints: Checkpoints, cache: Path
) -> None:
    code = {"modeling.py": b"raise SystemExit", "original/model.safetensors": b"other"}
    uri, sha256 = put(root, "one", **code, **{"chat_template.jinja": b"{{ x }}"})
    folder = checkpoints.fetch(uri, sha256, (NONE,))
    assert folder == cache / sha256
    assert weights_sha256(folder) == sha256
    names = {"model.safetensors", "config.json", "chat_template.jinja"}
    assert {path.name for path in folder.iterdir()} == names


def test_one_that_is_here_is_not_fetched_again_whatever_its_name(
    root: str, checkpoints: Checkpoints
) -> None:
    uri, sha256 = put(root, "one")
    folder = checkpoints.fetch(uri, sha256, (NONE,))
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert checkpoints.fetch(f"{root}/elsewhere", sha256, (NONE,)) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


def test_the_served_one_and_the_next_are_kept(
    root: str, checkpoints: Checkpoints, cache: Path
) -> None:
    made = [put(root, str(number), bytes([number])) for number in range(4)]
    served = NONE
    for number, (uri, sha256) in enumerate(made):
        checkpoints.fetch(uri, sha256, (served,))
        served = sha256
        assert kept(cache) == {sha256 for _, sha256 in made[max(0, number - 1) : number + 1]}


def test_many_that_do_not_load_do_not_pile_up(
    root: str, checkpoints: Checkpoints, cache: Path
) -> None:
    served, *others = [put(root, str(number), bytes([number]))[1] for number in range(4)]
    checkpoints.fetch(f"{root}/0", served, (NONE,))
    for number, sha256 in enumerate(others, 1):
        checkpoints.fetch(f"{root}/{number}", sha256, (served,))
        assert kept(cache) == {served, sha256}


def test_what_else_lies_in_the_folder_is_left_alone(
    root: str, checkpoints: Checkpoints, cache: Path
) -> None:
    within = checkpoints_under(root, cache / "adapters")
    kept_within = within.fetch(*put(root, "adapter", b"adapter"), ())
    (cache / "of a user").mkdir()
    for number in range(3):
        checkpoints.fetch(*put(root, str(number), bytes([number])), (NONE,))
    assert {"adapters", "of a user"} < kept(cache)
    assert kept_within.is_dir()
    within.fetch(*put(root, "later", b"later"), ())
    within.close()


@pytest.mark.parametrize("change", ["another version", "changed", "cut short", "one file more"])
def test_what_is_not_the_version_named_leaves_nothing_behind(
    root: str, checkpoints: Checkpoints, cache: Path, change: str
) -> None:
    uri, sha256 = put(root, "one")
    match change:
        case "another version":
            sha256 = NONE
        case "changed":
            put(root, "one", b"Weights")
        case "cut short":
            put(root, "one", b"weig")
        case _:
            put(root, "one", **{"generation_config.json": b"{}"})
    with pytest.raises(
        WeightsMismatch, match=f"its weight version is [0-9a-f]*, expected {sha256}"
    ):
        checkpoints.fetch(uri, sha256, (NONE,))
    assert kept(cache) == set()


@pytest.mark.parametrize("files", [{}, {"config.json": b"{}"}, {"model.bin": b"pickle"}])
def test_a_folder_without_safetensors_is_refused(
    root: str, checkpoints: Checkpoints, cache: Path, files: dict[str, bytes]
) -> None:
    system, path = open_storage(f"{root}/one")
    for name, content in files.items():
        system.pipe_file(f"{path}/{name}", content)
    with pytest.raises(ConfigError, match=r"expected a Hugging Face folder with \*.safetensors"):
        checkpoints.fetch(f"{root}/one", NONE, (NONE,))
    assert kept(cache) == set()


def test_a_download_that_fails_half_way_leaves_nothing_behind(cache: Path) -> None:
    class Vanishing(MemoryFileSystem):  # type: ignore[misc]  # ships no types
        """Storage that loses a file between its listing and its reading."""

        protocol = "vanishing"

        def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
            if path.endswith(".safetensors") and "r" in mode:
                raise FileNotFoundError(path)
            return super().open(path, mode, **options)

    fsspec.register_implementation("vanishing", Vanishing, clobber=True)
    uri, sha256 = put("vanishing://bucket", "one")
    checkpoints = checkpoints_under("vanishing://bucket", cache)
    with pytest.raises(StoreError, match="expected storage that can be read"):
        checkpoints.fetch(uri, sha256, (NONE,))
    assert kept(cache) == set()
    checkpoints.close()


def test_a_damaged_copy_is_fetched_again(root: str, checkpoints: Checkpoints) -> None:
    uri, sha256 = put(root, "one")
    folder = checkpoints.fetch(uri, sha256, (NONE,))
    for damage in ("changed", "lost"):
        if damage == "changed":
            (folder / "model.safetensors").write_bytes(b"Weights")
        else:
            (folder / "model.safetensors").unlink()
        assert weights_sha256(checkpoints.fetch(uri, sha256, (NONE,))) == sha256


def test_copies_outlive_the_service_and_what_a_killed_one_left_does_not(
    root: str, cache: Path
) -> None:
    uri, sha256 = put(root, "one")
    first = checkpoints_under(root, cache)
    first.fetch(uri, sha256, (NONE,))
    first.close()
    (cache / ".partial-1").mkdir()
    second = checkpoints_under(root, cache)
    assert kept(cache) == {sha256}
    second.fetch(f"{root}/gone", sha256, (NONE,))
    second.close()


def test_two_services_do_not_share_a_cache(cache: Path) -> None:
    first = WeightsCache(cache)
    with pytest.raises(ConfigError, match="a folder of this service alone, saw another one hold"):
        WeightsCache(cache)
    first.close()
    WeightsCache(cache).close()


def test_a_cache_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="expected a folder that can be written"):
        WeightsCache(tmp_path / "file")


def test_a_temporary_cache_goes_with_the_service(root: str) -> None:
    uri, sha256 = put(root, "one")
    checkpoints = checkpoints_under(root)
    folder = checkpoints.fetch(uri, sha256, (NONE,))
    assert folder.is_dir()
    checkpoints.close()
    assert not folder.parent.exists()


def test_a_service_that_ends_does_not_wait_for_a_download(root: str, cache: Path) -> None:
    uri, sha256 = put(root, "one")
    checkpoints = checkpoints_under(root, cache)
    checkpoints.close()
    with pytest.raises(Unavailable, match="shutting down"):
        checkpoints.fetch(uri, sha256, (NONE,))
    assert kept(cache) == set()


BELOW = ["x", "x/", "a/b", "ünïcode", "with space", "a:b", "..x", "x..", "%2e%2e"]
OUTSIDE = [
    "{root}-evil/x",
    "{root}x",
    "{root}/../x",
    "{root}/x/../../y",
    "{root}/./x",
    "{root}//x",
    "{root}/x//y",
    "{root}/x/..",
    "{root}/x\\..\\y",
    "{root}/*",
    "{root}/[x]",
    "{root}/x?versionId=1",
    "{root}/x#y",
    "{root}/x\n",
    "{root}/x\x00y",
    "{root}/x::file:///etc",
    "simplecache::{root}/x",
    "file://{root}/x",
    "/etc",
    "x",
    "",
    "file:///etc",
    "http://localhost/x",
    "s3://other/root/x",
    "s3a://bucket/root/x",
    "S3://bucket/root/x",
    "memory://other/x",
]


@pytest.mark.parametrize("name", BELOW)
def test_what_is_below_the_root_may_be_loaded(name: str, cache: Path) -> None:
    root = "memory://bucket/root"
    checkpoints = checkpoints_under(root, cache)
    checkpoints.check(f"{root}/{name}")
    checkpoints.close()


@pytest.mark.parametrize("uri", OUTSIDE)
def test_what_is_not_below_the_root_is_refused_unread(
    uri: str, checkpoints: Checkpoints, root: str, cache: Path
) -> None:
    uri = uri.replace("{root}", root)
    put(f"{root}-evil", "x")
    for ask in (lambda: checkpoints.check(uri), lambda: checkpoints.fetch(uri, NONE, (NONE,))):
        with pytest.raises(ConfigError, match="under the storage root"):
            ask()
    assert kept(cache) == set()


def test_a_folder_as_root_refuses_links_and_dots_that_leave_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "inside").mkdir(parents=True)
    (tmp_path / "root-evil").mkdir()
    (root / "link").symlink_to("/etc")
    for checkpoints in (checkpoints_under(str(root)), checkpoints_under(f"file://{root}")):
        for uri in (f"{root}/inside", f"file://{root}/inside", f"{root}/x/../inside"):
            assert checkpoints.fetch(uri, NONE, (NONE,)) == root / "inside"
        outside = ["", "-evil", "/../x", "/link", "/link/passwd"]
        uris = [f"{root}{name}" for name in outside[1:]]
        for uri in (
            *uris,
            "/etc",
            "inside",
            "",
            f"{root}/\0",
            "s3://bucket/x",
            f"s3://{root}/inside",
        ):
            with pytest.raises(ConfigError, match="under the storage root"):
                checkpoints.check(uri)


def test_without_a_root_nothing_may_be_loaded(tmp_path: Path) -> None:
    for uri in (str(tmp_path), "memory://x/y", "/"):
        with pytest.raises(ConfigError, match="start the service with --storage-root"):
            checkpoints_under(None).check(uri)


FULL = """
import sys
from pathlib import Path
import fsspec
from roundsmith.errors import StoreError
from roundsmith.serve.cache import WeightsCache
from roundsmith.serve.checkpoints import checkpoints_under
fs = fsspec.filesystem("memory")
fs.pipe_file("/root/x/model.safetensors", b"x" * 5_000_000)
cache = Path(sys.argv[1])
checkpoints = checkpoints_under("memory://root", cache)
for attempt in range(2):
    try:
        checkpoints.fetch("memory://root/x", "0" * 64, "0" * 64)
    except StoreError as error:
        print(error)
checkpoints.close()
again = WeightsCache(cache)
try:
    with again.adding("0" * 64) as folder:
        (folder / "model.safetensors").write_bytes(b"x" * 5_000_000)
except StoreError as error:
    print(error)
again.close()
print(sorted(path.name for path in cache.iterdir()))
"""


def test_a_full_disk_is_one_clear_error_that_leaves_nothing(tmp_path: Path) -> None:
    done = run_with(tmp_path, FULL)
    assert (done.returncode, done.stderr) == (0, "")
    asked, again, written, left = done.stdout.splitlines()
    assert asked == again
    assert "expected room for the checkpoint, saw 5,000,000 bytes to keep and " in asked
    assert "expected room for the checkpoint, saw No space left on device" in written
    assert left == "['.lock']"
