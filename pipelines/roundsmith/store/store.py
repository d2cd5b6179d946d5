"""The store: objects named by their hash, manifests that say what is finished.

    <root>/objects/<sha256>            Parquet rows, blobs, files and listings of folders
    <root>/manifests/<step>/<key>.json written last and only if absent: the commit

An object is whole or absent, and its hash is checked on every read. Nothing here removes objects:
`gc` does.
"""

import logging
from collections.abc import Iterator
from typing import TypeVar

from roundsmith.errors import Corrupt, StoreError
from roundsmith.store.folders import Folders
from roundsmith.store.kinds import RowKind
from roundsmith.store.manifest import Manifest, manifest_text, text_manifest
from roundsmith.store.objects import object_name

log = logging.getLogger(__name__)

RowT = TypeVar("RowT")


class Store(Folders):
    """Objects and manifests under one root: a folder, or any fsspec URL. Safe for several processes
    at once.
    """

    def find(self, step: str, key: str) -> Manifest | None:
        """The finished work of this name, or None when it is to be done.

        A manifest whose objects are missing or of another size (a damaged root) is removed and
        counts as not done. Raises StoreError when it is unreadable or of a later version.
        """
        manifest = self._manifest(_manifest_name(step, key))
        if manifest is None:
            return None
        if missing := [ref for ref in manifest.objects if not self.has(ref)]:
            told = "%s %s: %d objects are missing or cut short; it is made anew"
            log.warning(told, step, key, len(missing))
            self.discard(manifest)
            return None
        return manifest

    def peek(self, step: str, key: str) -> Manifest | None:
        """The same for who only looks: what is damaged is left as it is."""
        manifest = self._manifest(_manifest_name(step, key))
        return manifest if manifest is not None and all(map(self.has, manifest.objects)) else None

    def commit(self, manifest: Manifest) -> Manifest:
        """Declare work finished; the manifest that stands, which is another's where that one was
        first.

        Raises StoreError when an object that it names is not in the store.
        """
        for ref in manifest.objects:
            if not self.has(ref):
                size = self._root.size(object_name(ref))
                seen = "none" if size is None else f"{size} bytes"
                raise StoreError(
                    f"{self._root.url(object_name(ref))}: expected {ref.bytes} bytes to commit, "
                    f"saw {seen}: run again"
                )
        name = _manifest_name(manifest.step, manifest.key)
        if self._root.create(name, manifest_text(manifest).encode()):
            return manifest
        return self._manifest(name) or self.commit(manifest)

    def discard(self, manifest: Manifest) -> None:
        """Take a commit back, so that its work is done again; its objects stay."""
        self._root.remove(_manifest_name(manifest.step, manifest.key))

    def ages(self) -> Iterator[tuple[str, float]]:
        """The reference of all finished work and the seconds since its commit, by the storage's own
        clock.
        """
        for step in self._root.names("manifests"):
            for name, _, age_s in self._root.files(f"manifests/{step}"):
                yield f"{step}/{name.removesuffix('.json')}", age_s

    def forget(self, sha256: str) -> list[Manifest]:
        """Take back every commit that names an object, or a model folder with it, and remove the
        object, so that the work is done again; the manifests that were taken back.
        """
        named = [m for m in self.every_manifest() if self._needs(m, sha256)]
        for manifest in named:
            self.discard(manifest)
        self.remove_object(sha256)
        return named

    def damages(self) -> Iterator[Corrupt]:
        """What is wrong with each object of finished work, model files too, that is gone or whose
        bytes changed. Raises StoreError for a manifest that can not be read.
        """
        seen: set[str] = set()
        for manifest in self.every_manifest():
            for ref in manifest.objects:
                try:
                    files = self.files(ref) if ref.kind == "folder" else ()
                    every = [ref, *(file for _, file in files)]
                except Corrupt:  # a listing, which is told of below
                    every = [ref]
                for one in (one for one in every if one.hash not in seen):
                    seen.add(one.hash)
                    try:
                        self.check(one)
                    except Corrupt as damage:
                        yield damage

    def object_names(self, manifest: Manifest) -> set[str]:
        """The hashes of all objects that finished work needs: its own, and the files of its model
        folders.
        """
        folders = [ref for ref in manifest.of_kind("folder") if self.has(ref)]
        files = {file.hash for ref in folders for _, file in self.files(ref)}
        return files | {ref.hash for ref in manifest.objects}

    def steps(self) -> set[str]:
        """The steps of which there is finished work."""
        return set(self._root.names("manifests"))

    def manifests(self, step: str) -> Iterator[Manifest]:
        """All finished work of a step, by key."""
        for name in self._root.names(f"manifests/{step}"):
            if (manifest := self._manifest(f"manifests/{step}/{name}")) is not None:
                yield manifest

    def keys(self, step: str) -> set[str]:
        """The keys of all finished work of a step, readable or not."""
        return {name.removesuffix(".json") for name in self._root.names(f"manifests/{step}")}

    def references(self) -> Iterator[tuple[str, str]]:
        """The step and key of all finished work, readable or not."""
        for step in self._root.names("manifests"):
            for key in sorted(self.keys(step)):
                yield step, key

    def manifest(self, step: str, key: str) -> Manifest:
        """The manifest of this name, whatever became of its objects. Raises StoreError when there
        is none, it is damaged or of a later version.
        """
        if (found := self._manifest(_manifest_name(step, key))) is None:
            raise StoreError(f"{self.url}: expected finished work {step}/{key}, saw none")
        return found

    def every_manifest(self) -> Iterator[Manifest]:
        """All finished work of all steps."""
        for step in sorted(self.steps()):
            yield from self.manifests(step)

    def read_all(self, kind: RowKind[RowT], *manifests: Manifest) -> Iterator[RowT]:
        """The rows of this kind of every manifest given, in order, streamed."""
        for manifest in manifests:
            for ref in manifest.of_kind(kind.name):
                yield from self.read_rows(kind, ref)

    def _needs(self, manifest: Manifest, sha256: str) -> bool:
        """Whether it names an object. What a damaged listing names is not known: its manifest is
        taken back when it is the listing that is read.
        """
        if any(ref.hash == sha256 for ref in manifest.objects):
            return True
        try:
            return sha256 in self.object_names(manifest)
        except Corrupt:
            return False

    def _manifest(self, name: str) -> Manifest | None:
        text = self._root.read(name)
        return None if text is None else text_manifest(text, self._root.url(name))


def _manifest_name(step: str, key: str) -> str:
    return f"manifests/{step}/{key}.json"
