"""The store: objects named by their hash, manifests that say what is finished.

    <root>/objects/<sha256>            Parquet rows, blobs, files and listings of folders
    <root>/manifests/<step>/<key>.json written last and only if absent: the commit

An object is whole or absent, and its hash is checked on every read. Nothing here removes objects.
"""

import io
import json
import logging
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar

from roundsmith.errors import StoreError
from roundsmith.hashing import weights_sha256
from roundsmith.storage import storage_errors
from roundsmith.store.kinds import RowKind
from roundsmith.store.manifest import Manifest, ObjectRef, manifest_text, text_manifest
from roundsmith.store.parquet import RowWriter, read_file
from roundsmith.store.root import Root
from roundsmith.store.sink import synced

log = logging.getLogger(__name__)

RowT = TypeVar("RowT")
FOLDER_VERSION = 1


@dataclass(frozen=True, slots=True)
class FolderRef:
    """A stored model folder: its listing object, and the weight version of what it lists."""

    object: ObjectRef
    weights_sha256: str


class Store:
    """Objects and manifests under one root: a folder, or any fsspec URL. Safe for several processes
    at once.
    """

    def __init__(self, root: str) -> None:
        self._root = Root(root)
        self.url = root

    def find(self, step: str, key: str) -> Manifest | None:
        """The finished work of this name, or None when it is to be done.

        A manifest whose objects are missing or of another size (a damaged root) is removed and
        counts as not done. Raises StoreError when it is unreadable or of a later version.
        """
        manifest = self._manifest(_manifest_name(step, key))
        if manifest is None:
            return None
        missing = [
            ref for ref in manifest.objects if self._root.size(_object_name(ref)) != ref.bytes
        ]
        if not missing:
            return manifest
        log.warning(
            "%s %s: %d objects are missing or cut short; it is made anew", step, key, len(missing)
        )
        self.discard(manifest)
        return None

    def commit(self, manifest: Manifest) -> Manifest:
        """Declare work finished; the manifest that stands, which is another's where that one was
        first.

        Raises StoreError when an object that it names is not in the store.
        """
        for ref in manifest.objects:
            if (size := self._root.size(_object_name(ref))) != ref.bytes:
                seen = "none" if size is None else f"{size} bytes"
                raise StoreError(
                    f"{self._root.url(_object_name(ref))}: expected {ref.bytes} bytes to commit, "
                    f"saw {seen}: run again"
                )
        name = _manifest_name(manifest.step, manifest.key)
        if self._root.create(name, manifest_text(manifest).encode()):
            return manifest
        return self._manifest(name) or self.commit(manifest)

    def discard(self, manifest: Manifest) -> None:
        """Take a commit back, so that its work is done again; its objects stay."""
        self._root.remove(_manifest_name(manifest.step, manifest.key))

    def manifests(self, step: str) -> Iterator[Manifest]:
        """All finished work of a step, by key."""
        for name in self._root.names(f"manifests/{step}"):
            if (manifest := self._manifest(f"manifests/{step}/{name}")) is not None:
                yield manifest

    @contextmanager
    def writer(self, kind: RowKind[RowT]) -> Iterator[RowWriter[RowT]]:
        """A context to add rows to; after its end the rows are stored and `writer.ref` is their
        object.
        """
        with self._root.partial() as partial:
            with synced(partial) as sink, RowWriter(kind, sink) as writer:
                yield writer
            self._keep(partial, writer.ref)

    def write_rows(self, kind: RowKind[RowT], rows: Iterable[RowT]) -> ObjectRef:
        """Store rows as one Parquet object; at most one row group is held in memory."""
        with self.writer(kind) as writer:
            for row in rows:
                writer.add(row)
        return writer.ref

    def read_rows(self, kind: RowKind[RowT], ref: ObjectRef) -> Iterator[RowT]:
        """The rows of one object, in order, streamed. Raises StoreError when its bytes are not what
        was written.
        """
        if ref.kind != kind.name:
            raise StoreError(
                f"object {ref.hash}: expected {kind.name} rows, saw {ref.kind}: give an object of "
                "that kind"
            )
        with self._root.verified(_object_name(ref), ref.hash) as path:
            yield from read_file(kind, path)

    def read_all(self, kind: RowKind[RowT], *manifests: Manifest) -> Iterator[RowT]:
        """The rows of this kind of every manifest given, in order, streamed."""
        for manifest in manifests:
            for ref in manifest.of_kind(kind.name):
                yield from self.read_rows(kind, ref)

    def put_blob(self, content: bytes) -> ObjectRef:
        """Store bytes as they are."""
        return self._put(io.BytesIO(content))

    def get_blob(self, ref: ObjectRef) -> bytes:
        """An object's bytes, checked."""
        with self._root.verified(_object_name(ref), ref.hash) as path:
            return path.read_bytes()

    def fetch(self, ref: ObjectRef, path: Path) -> Path:
        """An object as a local file, checked; it appears whole. Rows come as the Parquet file that
        was stored.
        """
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        with storage_errors(str(path)):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._root.fetch(_object_name(ref), ref.hash, partial)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        return path

    def put_folder(self, folder: Path) -> FolderRef:
        """Store a model folder: every file an object, and a listing. Raises ConfigError without
        safetensors.
        """
        version = weights_sha256(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        refs = [(path.relative_to(folder).as_posix(), self._put_file(path)) for path in files]
        listing = {
            "schema_version": FOLDER_VERSION,
            "weights_sha256": version,
            "files": [{"path": name} | asdict(ref) for name, ref in refs],
        }
        blob = self.put_blob(json.dumps(listing, sort_keys=True, indent=1).encode())
        return FolderRef(ObjectRef(blob.hash, "folder", len(refs), blob.bytes), version)

    def folder(self, ref: ObjectRef) -> FolderRef:
        """The reference of a stored folder, from its listing object."""
        return FolderRef(ref, str(self._listing(ref)["weights_sha256"]))

    def fetch_folder(self, ref: FolderRef, target: Path) -> Path:
        """A stored folder at `target`, checked file by file; it appears whole, and one that is
        right is kept.

        Raises StoreError when something else is at `target`.
        """
        if target.exists():
            return _same_folder(target, ref)
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            for name, file in self._files(ref.object):
                self.fetch(file, partial / name)
            with storage_errors(str(target)):
                partial.replace(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return _same_folder(target, ref)

    def publish_folder(self, ref: FolderRef, url: str) -> str:
        """Make a stored folder a plain one at a URL of the store's file system; that URL.

        Storage copies by itself, and files of the right size are kept. It does not appear whole:
        who loads from there checks the weight version.
        """
        for name, file in self._files(ref.object):
            self._root.copy(_object_name(file), f"{url.rstrip('/')}/{name}")
        return url

    def _files(self, ref: ObjectRef) -> Iterator[tuple[str, ObjectRef]]:
        """The files of a stored folder, by their paths in it."""
        for entry in self._listing(ref)["files"]:
            name = PurePosixPath(entry.pop("path"))
            assert not {"..", "/"} & set(name.parts), f"{name} leaves the folder"
            yield str(name), ObjectRef(**entry)

    def _listing(self, ref: ObjectRef) -> dict[str, Any]:
        listing: dict[str, Any] = json.loads(self.get_blob(ref))
        if listing["schema_version"] > FOLDER_VERSION:
            raise StoreError(
                f"folder {ref.hash}: expected schema version {FOLDER_VERSION} or lower, saw "
                f"{listing['schema_version']}: use the release of Roundsmith that wrote it, or a "
                "later one"
            )
        return listing

    def _put_file(self, path: Path) -> ObjectRef:
        with path.open("rb") as stream:
            return self._put(stream)

    def _put(self, stream: IO[bytes]) -> ObjectRef:
        with self._root.partial() as partial:
            with synced(partial) as sink:
                while chunk := stream.read(2**20):
                    sink.write(chunk)
            ref = ObjectRef(sink.sha256.hexdigest(), "blob", 0, sink.num_bytes)
            self._keep(partial, ref)
        return ref

    def _keep(self, partial: Path, ref: ObjectRef) -> None:
        # An object of the right size is there already; another size is a damaged one.
        if self._root.size(_object_name(ref)) != ref.bytes:
            self._root.publish(partial, _object_name(ref))

    def _manifest(self, name: str) -> Manifest | None:
        text = self._root.read(name)
        return None if text is None else text_manifest(text, self._root.url(name))


def _object_name(ref: ObjectRef) -> str:
    return f"objects/{ref.hash}"


def _manifest_name(step: str, key: str) -> str:
    return f"manifests/{step}/{key}.json"


def _same_folder(folder: Path, ref: FolderRef) -> Path:
    if (seen := weights_sha256(folder)) != ref.weights_sha256:
        raise StoreError(
            f"{folder}: expected the model folder with weights {ref.weights_sha256}, saw {seen}: "
            "remove the folder or give another target"
        )
    return folder
