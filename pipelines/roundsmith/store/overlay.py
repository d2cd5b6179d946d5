"""A store that is only looked at: what would be written goes to a folder that is thrown away."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from roundsmith.errors import StoreError
from roundsmith.store.kinds import RowKind
from roundsmith.store.manifest import Manifest, ObjectRef
from roundsmith.store.store import Store

RowT = TypeVar("RowT")


class Overlay(Store):
    """A scratch store over another, or over none; the other is never changed. Of the other it finds
    finished work and reads rows, of the scratch both too.
    """

    def __init__(self, below: Store | None, scratch: Path) -> None:
        super().__init__(str(scratch))
        self._below = below

    def find(self, step: str, key: str) -> Manifest | None:
        """The finished work of this name; what is damaged below counts as not done and is left."""
        if (found := super().find(step, key)) is not None or self._below is None:
            return found
        return self._below.peek(step, key)

    def kept(self, manifest: Manifest) -> bool:
        """Whether work is finished in the store below, and not in the scratch only."""
        below = self._below
        return below is not None and below.peek(manifest.step, manifest.key) is not None

    def steps(self) -> set[str]:
        """The steps of which there is finished work, in either."""
        return super().steps() | (set() if self._below is None else self._below.steps())

    def keys(self, step: str) -> set[str]:
        """The keys of all finished work of a step, in either."""
        below = set() if self._below is None else self._below.keys(step)
        return super().keys(step) | below

    def manifests(self, step: str) -> Iterator[Manifest]:
        """All finished work of a step."""
        yield from super().manifests(step)
        if self._below is not None:
            yield from self._below.manifests(step)

    def has(self, ref: ObjectRef) -> bool:
        """Whether an object is in either: work in the scratch may name what lies below."""
        return super().has(ref) or (self._below is not None and self._below.has(ref))

    def read_rows(self, kind: RowKind[RowT], ref: ObjectRef) -> Iterator[RowT]:
        """The rows of one object, wherever it is."""
        if self._below is not None and self._below.has(ref):
            yield from self._below.read_rows(kind, ref)
        else:
            yield from super().read_rows(kind, ref)


def existing(url: str) -> Store | None:
    """The store at a URL; None where a local folder holds none. Raises StoreError where it can not
    be reached.
    """
    if "://" in url or (Path(url) / "manifests").is_dir():
        return Store(url)
    if Path(url).is_file():
        raise StoreError(f"{url}: expected the folder of a store, saw a file: name another folder")
    return None
