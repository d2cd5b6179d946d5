"""Stored model folders: every file an object, and a listing that names them."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from roundsmith.errors import StoreError
from roundsmith.hashing import weights_sha256
from roundsmith.leftovers import partial_folder
from roundsmith.storage import storage_errors
from roundsmith.store.manifest import ObjectRef
from roundsmith.store.objects import Objects, object_name

FOLDER_VERSION = 1


@dataclass(frozen=True, slots=True)
class FolderRef:
    """A stored model folder: its listing object, and the weight version of what it lists."""

    object: ObjectRef
    weights_sha256: str


class Folders(Objects):
    """Model folders among the objects of a root."""

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

    def folder_bytes(self, ref: FolderRef) -> int:
        """Bytes of all files of a stored folder."""
        return sum(file.bytes for _, file in self.files(ref.object))

    def fetch_folder(self, ref: FolderRef, target: Path) -> Path:
        """A stored folder at `target`, checked file by file; it appears whole, and one that is
        right is kept. What a killed process had of one beside it goes.

        Raises StoreError when something else is at `target`.
        """
        if target.exists():
            return _same_folder(target, ref)
        partial = partial_folder(target)
        try:
            for name, file in self.files(ref.object):
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
        for name, file in self.files(ref.object):
            self._root.copy(object_name(file), f"{url.rstrip('/')}/{name}")
        return url

    def files(self, ref: ObjectRef) -> Iterator[tuple[str, ObjectRef]]:
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


def _same_folder(folder: Path, ref: FolderRef) -> Path:
    if (seen := weights_sha256(folder)) != ref.weights_sha256:
        raise StoreError(
            f"{folder}: expected the model folder with weights {ref.weights_sha256}, saw {seen}: "
            "remove the folder or give another target"
        )
    return folder
