"""Storage by URL: any fsspec file system, opened so that what other processes write is seen at
once, and what goes wrong is one clear StoreError.
"""

import errno
import hashlib
import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]  # ships no types
from fsspec.implementations import local  # type: ignore[import-untyped]  # no types

from roundsmith.errors import FORBIDDEN, ConfigError, StoreError
from roundsmith.installing import how_to_install

CHUNK_BYTES = 8 * 2**20
S3 = ("s3", "s3a")
_S3_OPTIONS = {"max_concurrency": 2}
"""Parts of 50 MiB that are sent at once; they are held in memory."""
_CONFLICTS = 10
FULL = (errno.ENOSPC, errno.EDQUOT)
_OTHER_FAILURES = (("botocore.exceptions", "BotoCoreError"), ("aiohttp", "ClientError"))
"""What file systems raise that is no OSError: no credentials, no server, a broken connection."""


def open_storage(url: str) -> tuple[Any, str]:
    """The file system of a URL, and its path there without a slash at the end.

    Nothing is remembered of listings. Raises ConfigError for a kind of URL that can not be opened
    here, StoreError for an S3 bucket that can not be reached.
    """
    scheme = scheme_of(url)
    try:
        with storage_errors(url):
            if scheme in S3:
                from roundsmith.storage_s3 import PatientS3

                system = PatientS3(use_listings_cache=False, **_S3_OPTIONS)
                path = str(PatientS3._strip_protocol(url))
            else:
                system, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"{url}: expected a folder or a URL of storage that this installation opens, saw "
            f"{error}: for s3:// install what it needs: {how_to_install('cluster')}"
        ) from error
    path = path.rstrip("/")
    if scheme in S3:
        bucket, _, prefix = path.partition("/")
        if not bucket:
            raise ConfigError(f"{url}: expected s3://bucket/prefix, saw no bucket: name one")
        with storage_errors(url):  # a bucket that is missing or closed must not look empty
            system.call_s3(
                "list_objects_v2", Bucket=bucket, Prefix=f"{prefix}/" * bool(prefix), MaxKeys=1
            )
    return system, path


def make_output_folder(path: Path, option: str = "--out") -> Path:
    """The folder that an option names, made where it is not there and tried by a file in it.

    Raises ConfigError that names the option, StoreError where no space is left.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        if error.errno in FULL:
            raise StoreError(
                f"{option} {path}: expected room for files, saw no space left: free space and run "
                "again, or name another folder"
            ) from error
        there = next(at for at in (path, *path.parents) if at.exists())
        seen = "a file" if path.is_file() else f"{error.strerror} at {there}"
        allow = f"make {there} writable for you, or " if error.errno in FORBIDDEN else ""
        raise ConfigError(
            f"{option} {path}: expected a folder that can be made and written, saw {seen}: {allow}"
            "name another folder"
        ) from error
    return path


def scheme_of(url: str) -> str:
    """`s3` of `s3://bucket/prefix`; `file` of a folder; the outermost of fsspec's chains."""
    scheme, found, _ = url.partition("::" if "::" in url else "://")
    return scheme if found else "file"


def is_local(system: Any) -> bool:
    """Whether a file system is this machine's own."""
    return isinstance(system, local.LocalFileSystem)


def download(
    system: Any, source: str, target: Path, proceed: Callable[[], None] = lambda: None
) -> str:
    """Stream a file to a local one, synced to disk; the sha256 of its bytes.

    Each range is asked for again when the connection breaks. `proceed` is called before each and
    ends the download by raising.
    """
    digest = hashlib.sha256()
    with system.open(source, "rb", cache_type="none") as reader, target.open("wb") as writer:
        proceed()
        while chunk := reader.read(CHUNK_BYTES):
            digest.update(chunk)
            writer.write(chunk)
            proceed()
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()


def read_file(url: str) -> bytes | None:
    """A small file's bytes, or None when there is none."""
    system, path = open_storage(url)
    with storage_errors(url):
        try:
            return bytes(system.cat_file(path))
        except FileNotFoundError:
            return None


def replace_file(url: str, content: bytes) -> None:
    """Put a small file, which is whole at every moment, also after a power cut."""
    system, path = open_storage(url)
    with storage_errors(url):
        if not is_local(system):
            system.pipe_file(path, content)
            return
        partial = Path(f"{path}.{uuid.uuid4().hex}")
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def create_file(system: Any, path: str, content: bytes) -> bool:
    """Put a small file unless there is one of its name; whether this call put it.

    That is as true as the server's conditional put: see `refuse_overwriting`.
    """
    for _ in range(_CONFLICTS):
        try:
            system.pipe_file(path, content, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            match _s3_code(error):
                case "PreconditionFailed":
                    return False
                case "ConditionalRequestConflict":  # another such put is under way: ask again
                    continue
            raise
        return True
    raise OSError(errno.EBUSY, f"{_CONFLICTS} conditional puts of {path} met others under way")


def refuse_overwriting(system: Any, path: str) -> None:
    """Raises StoreError when the storage takes a conditional put of a name that is taken, as
    servers do that do not know the condition. `path` is a file of a few bytes that stays.
    """
    content = b"a second conditional put of this name must fail\n"
    if create_file(system, path, content) and create_file(system, path, content):
        raise StoreError(
            f"{path}: expected storage that refuses to create a file twice (on S3 a put with "
            "If-None-Match), saw it overwritten: use a server or a version that has conditional "
            "puts, because no commit would be safe here"
        )


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn what storage answers about `url` when it fails into a StoreError that says what to
    do.
    """
    try:
        yield
    except _failures() as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise StoreError(
                f"{url}: expected room to write, saw {os.strerror(error.errno)}: free space there, "
                "or name a place on a larger disk, and run again; finished shards are kept"
            ) from error
        raise StoreError(
            f"{url}: expected storage that can be read and written, saw {str(error).rstrip('.')}: "
            f"{_remedy(url, error)}, and run again; finished shards are kept"
        ) from error


def _s3_code(error: BaseException) -> str:
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _remedy(url: str, error: BaseException) -> str:
    if scheme_of(url) == "file" and isinstance(error, OSError):
        return _local_remedy(url, error)
    if scheme_of(url) not in S3:
        return "check that the root exists, that its credentials and permissions hold"
    match error:
        case PermissionError():
            return "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do there"
        case FileNotFoundError():
            return "check that it is there: the bucket, its name, AWS_ENDPOINT_URL"
    return (
        "check AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_DEFAULT_REGION, "
        "and that the server runs"
    )


def _local_remedy(url: str, error: OSError) -> str:
    if error.errno in FORBIDDEN:
        return f"make {error.filename or url} and what is below it writable for you"
    above = Path(str(error.filename or url)).parents
    if (file := next((at for at in above if at.exists() and not at.is_dir()), None)) is not None:
        return f"{file} is a file: name a folder that is not below it"
    return "check that the folder is there and may be read and written"


def _failures() -> tuple[type[BaseException], ...]:
    # Only what is loaded can have been raised; most installations load none of it.
    loaded = [(sys.modules[name], kind) for name, kind in _OTHER_FAILURES if name in sys.modules]
    return (OSError, *(getattr(module, kind) for module, kind in loaded))
