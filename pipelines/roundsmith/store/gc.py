"""What a store holds that nothing needs, and its removal.

Kept is whatever a root needs, and all that this rests on: the manifests that a root names, their
ancestors, every object and model file of these, and the shards that they were made of. An object
without a manifest may be of work that is under way, so that only those older than `grace_s` are
taken.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from roundsmith.store.leases import LEASE_S, REMOVALS, Leases
from roundsmith.store.manifest import Manifest
from roundsmith.store.store import Store

GRACE_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Garbage:
    """What can go: finished work by its manifests, objects by their hashes, and how many bytes."""

    manifests: tuple[Manifest, ...]
    objects: tuple[str, ...]
    bytes: int


def needed(every: Iterable[Manifest], roots: Iterable[Manifest]) -> dict[str, Manifest]:
    """The roots and all that they rest on, by hash; what a root was made from and is not in the
    store is not there to be kept.
    """
    by_hash = {manifest.hash: manifest for manifest in every}
    kept: dict[str, Manifest] = {}
    waiting = list(roots)
    while waiting:
        manifest = waiting.pop()
        if manifest.hash not in kept:
            kept[manifest.hash] = manifest
            waiting += [by_hash[name] for name in manifest.parents if name in by_hash]
    return kept


def garbage(
    store: Store,
    is_root: Callable[[Manifest], bool] | None = None,
    grace_s: float = GRACE_S,
    finished_grace_s: float = 0.0,
) -> Garbage:
    """What can go when only the manifests that `is_root` says yes to, and what they rest on, are
    kept; without it all finished work is kept, and only objects that no manifest names go.
    Finished work younger than `finished_grace_s` counts as a root: it may be of a run that goes on.
    So does all that may be of a run that says so by its lease, and has not let it grow old.

    Raises StoreError for a manifest or a lease that can not be read: what it needs is not known.
    """
    every = list(store.every_manifest())
    young = _younger(store, finished_grace_s)
    leased = Leases(store.url).references(max(finished_grace_s, LEASE_S))
    held = _under_way(every, leased) if leased else frozenset()
    roots = [
        m for m in every if is_root is None or is_root(m) or m.reference in young or m.hash in held
    ]
    kept = needed(every, roots)
    wanted = {name for manifest in kept.values() for name in store.object_names(manifest)}
    kept |= {m.hash: m for m in every if _is_shard_of(m, kept, wanted, store)}
    # Objects of work that is forgotten are as old as it is; they need no grace.
    gone = tuple(manifest for manifest in every if manifest.hash not in kept)
    theirs = {name for manifest in gone for name in store.object_names(manifest)}
    objects = [
        (name, size)
        for name, size, age_s in store.objects()
        if name not in wanted and (name in theirs or age_s > grace_s)
    ]
    return Garbage(gone, tuple(name for name, _ in objects), sum(size for _, size in objects))


def _younger(store: Store, grace_s: float) -> frozenset[str]:
    ages = store.ages() if grace_s > 0 else ()
    return frozenset(reference for reference, age_s in ages if age_s <= grace_s)


def _under_way(every: Sequence[Manifest], leased: Set[str]) -> frozenset[str]:
    """The hashes of what a run rests on and of all that was made from it, such as the shards of
    what is not whole yet; and of inputs, which such a one may have found already.
    """
    children: dict[str, list[Manifest]] = {}
    for manifest in every:
        for parent in manifest.parents:
            children.setdefault(parent, []).append(manifest)
    waiting = [manifest for manifest in every if manifest.reference in leased]
    found = {manifest.hash for manifest in waiting}
    while waiting:
        after = [m for m in children.get(waiting.pop().hash, ()) if m.hash not in found]
        found |= {manifest.hash for manifest in after}
        waiting += after
    return frozenset(found | {manifest.hash for manifest in every if not manifest.parents})


def _is_shard_of(
    manifest: Manifest, kept: Mapping[str, Manifest], wanted: Set[str], store: Store
) -> bool:
    """Whether all that a shard holds and rests on is kept: then it takes no room, and saves work
    when the whole is damaged or grows.
    """
    return (
        manifest.is_shard
        and store.object_names(manifest) <= wanted
        and all(parent in kept for parent in manifest.parents)
    )


def collect(store: Store, found: Garbage) -> None:
    """Removes it: commits first, so that what is cut short leaves no commit without its objects.

    What was found must have been found in the same `removing`, which keeps runs from beginning; one
    that went on before and puts an object again that was found, older than the grace, loses it.
    """
    for manifest in found.manifests:
        store.discard(manifest)
    for name in found.objects:
        store.remove_object(name)
    for leases in (Leases(store.url), Leases(store.url, REMOVALS)):
        for name in leases.names(older_than_s=GRACE_S):
            leases.remove(name)
