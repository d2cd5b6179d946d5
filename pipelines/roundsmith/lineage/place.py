"""Where a run lies: in a folder, or at a URL such as `s3://bucket/prefix/runs/NAME`, whose store is
that of the storage root, `s3://bucket/prefix/store`.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from roundsmith.errors import ConfigError
from roundsmith.hashing import file_sha256
from roundsmith.storage import CHUNK_BYTES, open_storage, storage_errors

STORE, RUNS = "store", "runs"
HELD = ("manifests", "objects")
"""What a store has, one of them at least."""


def is_url(run: str) -> bool:
    """Whether a run is at a URL of storage."""
    return "://" in run


def store_of(run: str) -> str | None:
    """The store of a run, or `run` itself where it is one; None where there is none."""
    run = run.rstrip("/") if is_url(run) else run
    for store in (f"{run}/{STORE}", run, *_shared(run)):
        if is_url(store) and any(_names(f"{store}/{name}") for name in HELD):
            return store
        if not is_url(store) and Path(store, HELD[0]).is_dir():
            return str(Path(store))
    return None


def summaries(run: str) -> dict[int, str]:
    """Where the summaries of a run's finished rounds are, by number, the first round first."""
    if is_url(run):
        rounds = [f"{run.rstrip('/')}/{name}" for name in _names(run) if "round-" in name]
        found = [f"{url}/summary.json" for url in rounds if "summary.json" in _names(url)]
    else:
        found = [str(path) for path in Path(run).glob("round-*/summary.json")]
    return dict(sorted((_number(path.rsplit("/", 2)[1]), path) for path in found))


def files_below(folder: str, parts: tuple[str, ...]) -> set[str]:
    """The files in some folders of a round's, by their paths from it."""
    system, base = open_storage(folder)
    with storage_errors(folder):
        found = [file for part in parts for file in system.find(f"{base}/{part}")]
    return {str(file)[str(file).index(f"{base}/") + len(base) + 1 :] for file in found}


def sha256_at(path: str) -> str | None:
    """The sha256 of a file's bytes, which are streamed; None where there is no such file."""
    if not is_url(path):
        return file_sha256(Path(path)) if Path(path).is_file() else None
    system, name = open_storage(path)
    digest = hashlib.sha256()
    with storage_errors(path):
        try:
            with system.open(name, "rb", cache_type="none") as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    digest.update(chunk)
        except FileNotFoundError:
            return None
    return digest.hexdigest()


def refuse_nothing(run: str) -> ConfigError:
    """What to say of a URL where there is neither a run nor a store."""
    return ConfigError(
        f"{run}: expected the URL of a store, such as s3://bucket/prefix/store, or of a run, such "
        "as s3://bucket/prefix/runs/NAME, saw neither: look at what is there, or whether its round "
        "is over"
    )


def root_of(run: str) -> str:
    """The storage root of `ROOT/runs/NAME`; empty of anything else."""
    root, _, name = run.rpartition(f"/{RUNS}/")
    return root if name and "/" not in name else ""


def _shared(run: str) -> Iterator[str]:
    """The store beside `runs`, where a run is one of those of a storage root."""
    if (root := root_of(run)) and (_names(run) if is_url(run) else Path(run).is_dir()):
        yield f"{root}/{STORE}"


def _names(url: str) -> list[str]:
    system, path = open_storage(url)
    with storage_errors(url):
        try:
            return [str(found).rstrip("/").rsplit("/", 1)[-1] for found in system.ls(path, False)]
        except FileNotFoundError:
            return []


def _number(folder: str) -> int:
    digits = folder.removeprefix("round-")
    return int(digits) if digits.isdecimal() else -1
