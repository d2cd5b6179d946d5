"""Leases: what a run that goes on rests on, told to who removes from its store on another machine.

<root>/leases/<name>.json     the references, written again while the run lasts
<root>/removals/<name>.json   somebody removes; the same, without references
<root>/rollbacks/<name>.json  somebody takes a promotion back; likewise

Each writes its own file before it looks for another's, so that of a run that begins and a removal
that begins, and of two rollbacks, at least one sees the other.
"""

import json
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Self

from roundsmith.errors import StoreError
from roundsmith.store.root import Root

log = logging.getLogger(__name__)
RENEW_S = 600.0
LEASE_S = 3600.0
"""What was not written again for so long is of a run that is gone."""
RUNS, REMOVALS, ROLLBACKS = "leases", "removals", "rollbacks"


class Leases:
    """All leases of the store at a URL that lie in a folder."""

    def __init__(self, store: str, folder: str = RUNS) -> None:
        self._root, self._folder = Root(store), folder

    def url(self, name: str) -> str:
        """Where a lease is."""
        return self._root.url(self._path(name))

    def write(self, name: str, references: Iterable[str]) -> None:
        """Says what a run rests on, in the place of what it said before."""
        text = json.dumps({"schema_version": 1, "references": list(references)}) + "\n"
        with self._root.partial() as partial:
            partial.write_text(text)
            self._root.publish(partial, self._path(name))

    def remove(self, name: str) -> None:
        """Ends a lease."""
        self._root.remove(self._path(name))

    def names(self, older_than_s: float) -> list[str]:
        """Those that were not renewed for so long."""
        return [name for name, age_s in self._ages() if age_s > older_than_s]

    def live(self, most_s: float) -> list[str]:
        """Those that are at most so old."""
        return [name for name, age_s in self._ages() if age_s <= most_s]

    def beginning(self, most_s: float) -> list[str]:
        """Those of them that rest on nothing yet."""
        return [name for name in self.live(most_s) if self._read(name) == []]

    def references(self, most_s: float) -> frozenset[str]:
        """What runs rest on whose leases are at most so old. Raises StoreError for one that can not
        be read.
        """
        return frozenset(one for name in self.live(most_s) for one in self._read(name) or ())

    def _ages(self) -> Iterator[tuple[str, float]]:
        for name, _, age_s in self._root.files(self._folder):
            yield name.removesuffix(".json"), age_s

    def _read(self, name: str) -> list[str] | None:
        """The references; None when the lease has ended meanwhile."""
        text = self._root.read(self._path(name))
        if text is None:
            return None
        try:
            return [str(reference) for reference in json.loads(text)["references"]]
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self.url(name)}: expected the lease of a run, saw {error!r}: see "
                "that no run goes on in this store, and remove the file"
            ) from error

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}.json"


class Lease:
    """A context that keeps one lease, whose references grow. One that ends with an error leaves it,
    for whoever goes on; so does one that is not `alone`, a part of a run that others go on with;
    but not while it has no references.
    """

    def __init__(
        self, leases: Leases, name: str, *, alone: bool = True, renew_s: float = RENEW_S
    ) -> None:
        self._leases, self._name, self._alone = leases, name, alone
        self._references: list[str] = []
        self._lock, self._ended = Lock(), Event()
        self._renewing = Thread(target=self._renew, args=(renew_s,), daemon=True)
        self.begins = False
        """Whether nobody held it before."""

    def add(self, reference: str) -> None:
        """One more piece of finished work that the run rests on."""
        with self._lock:
            if reference not in self._references:
                self._references.append(reference)
                self._leases.write(self._name, self._references)

    def __enter__(self) -> Self:
        self.begins = self._name not in self._leases.live(LEASE_S)
        if self.begins:
            self._leases.write(self._name, ())
        self._renewing.start()
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        self._ended.set()
        self._renewing.join()
        whole = failure is None and self._alone
        if whole or (self.begins and not self._references):
            self._leases.remove(self._name)

    def _renew(self, every_s: float) -> None:
        while not self._ended.wait(every_s):
            with self._lock:
                try:
                    if self._references or self.begins:
                        self._leases.write(self._name, self._references)
                except StoreError as error:  # the run itself asks the storage, too, and ends by it
                    log.warning("the run's lease is not renewed: %s", error)


@contextmanager
def leased(store: str, name: str, *, alone: bool) -> Iterator[Callable[[str], None]]:
    """A context with what takes one more reference that a run rests on. A store in a folder needs
    no lease: the run holds that. Raises StoreError where somebody removes from the store.
    """
    if "://" not in store:
        yield lambda reference: None
        return
    with Lease(Leases(store), name, alone=alone) as lease:
        removals = Leases(store, REMOVALS)
        if lease.begins and (others := removals.live(LEASE_S)):
            raise StoreError(
                f"{removals.url(others[0])}: a `store gc --yes` or `store mend` of this store goes "
                "on, and might take what a run that begins now rests on: run the same again when "
                f"it is over, or, where it was killed, {LEASE_S / 60:g} minutes after the file was "
                "written"
            )
        yield lease.add


@contextmanager
def removing(store: str) -> Iterator[None]:
    """A context in which no run begins in a store at a URL. Raises StoreError where one is just
    beginning, which has not said yet what it rests on.
    """
    if "://" not in store:
        yield
        return
    with Lease(Leases(store, REMOVALS), uuid.uuid4().hex):
        runs = Leases(store)
        if beginning := runs.beginning(LEASE_S):
            raise StoreError(
                f"{runs.url(beginning[0])}: a run begins in this store, and has not said yet what "
                "it rests on; nothing was removed: run the same again in a minute, or, where the "
                f"run was killed, {LEASE_S / 60:g} minutes after the file was written"
            )
        yield


@contextmanager
def taking_back(store: str) -> Iterator[None]:
    """A context that one at a time is in, of those who take a promotion of a run in a store at a
    URL back: each reads what was taken back before, and writes that anew. Raises StoreError where
    another one is; of two that begin in the same moment both may.
    """
    if "://" not in store:
        yield
        return
    rollbacks, own = Leases(store, ROLLBACKS), uuid.uuid4().hex
    with Lease(rollbacks, own):
        if others := [name for name in rollbacks.live(LEASE_S) if name != own]:
            raise StoreError(
                f"{rollbacks.url(others[0])}: another `rollback` in this store goes on; nothing "
                "was taken back by this one: look at what counts when that is over, and give "
                "the same again if it still must go; where it was killed, so in "
                f"{LEASE_S / 60:g} minutes from when the file was written"
            )
        yield
