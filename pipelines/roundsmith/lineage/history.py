"""Everything that a store has finished, as a graph: what was made from what."""

from collections.abc import Iterable, Iterator

from roundsmith.store import Manifest, ObjectRef, Store

GROUP_STEPS = ("score", "sample", "score-shard", "sample-shard")
"""Where groups are kept; those with scores first."""
ROW_STEPS = ("select", "corpus", "matched", "gold")
"""Where rows are kept; those that are chosen from others behind them."""
WRITTEN_STEPS = ("sample", "score", "select", "matched")
"""From what a model drew to the rows that a training sees."""
MODEL_STEPS = ("model", "train")
TASK_STEPS = ("tasks", "kept")


class History:
    """The manifests of a store, as they are when it is opened."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._by_hash = {manifest.hash: manifest for manifest in store.every_manifest()}
        self._children: dict[str, list[Manifest]] = {}
        for manifest in self._by_hash.values():
            for parent in manifest.parents:
                self._children.setdefault(parent, []).append(manifest)

    def __iter__(self) -> Iterator[Manifest]:
        return iter(self._by_hash.values())

    def of(self, *steps: str) -> list[Manifest]:
        """The finished work of these steps, in the order of the steps."""
        return [m for step in steps for m in self._by_hash.values() if m.step == step]

    def parents(self, manifest: Manifest) -> list[Manifest]:
        """What it was made from; what is not in the store any more is left out."""
        return [self._by_hash[name] for name in manifest.parents if name in self._by_hash]

    def children(self, manifest: Manifest) -> list[Manifest]:
        """What was made from it."""
        return self._children.get(manifest.hash, [])

    def ancestors(self, *manifests: Manifest) -> list[Manifest]:
        """They and all that they rest on, nearest first, each once."""
        found = {manifest.hash: manifest for manifest in manifests}
        waiting = list(manifests)
        while waiting:
            for parent in self.parents(waiting.pop(0)):
                if parent.hash not in found:
                    found[parent.hash] = parent
                    waiting.append(parent)
        return list(found.values())

    def lost(self, manifest: Manifest) -> dict[str, str]:
        """Of it and its ancestors those that were made from what is not in the store any more: by
        reference, the first such hash.
        """
        return {
            one.reference: gone[0]
            for one in self.ancestors(manifest)
            if (gone := [name for name in one.parents if name not in self._by_hash])
        }

    def objects(
        self, kind: str, manifests: Iterable[Manifest]
    ) -> Iterator[tuple[ObjectRef, Manifest]]:
        """The objects of a kind, each once, with the first manifest that names it."""
        seen = set()
        for manifest in manifests:
            for ref in manifest.of_kind(kind):
                if ref.hash not in seen:
                    seen.add(ref.hash)
                    yield ref, manifest

    def checkpoints_of(self, sources: Iterable[Manifest]) -> list[tuple[Manifest, bool]]:
        """The trainings that saw these rows or began with these weights, and those that rest on
        what such a one made: began with it, or saw rows that it drew or scored. The flag says of
        each whether it is one of the first.
        """
        found: dict[str, tuple[Manifest, bool]] = {}
        waiting: list[Manifest] = []
        for manifest in sources:
            waiting += [manifest] if manifest.step in MODEL_STEPS else []
            for child in self.children(manifest):
                if child.step == "train":
                    found[child.hash] = (child, True)
        waiting += [manifest for manifest, _ in found.values()]
        while waiting:
            for child in self._trained_after(waiting.pop(0)):
                if child.hash not in found:
                    found[child.hash] = (child, False)
                    waiting.append(child)
        return list(found.values())

    def _trained_after(self, model: Manifest) -> Iterator[Manifest]:
        """The trainings nearest after a model, which a model that writes only is not the base of.
        Gold rows are of no model.
        """
        waiting = [model]
        while waiting:
            for child in self.children(waiting.pop(0)):
                if child.step == "train":
                    yield child
                elif child.step in WRITTEN_STEPS:
                    waiting.append(child)

    def decision_on(self, checkpoint: Manifest) -> Manifest | None:
        """What the gate said of a checkpoint, by its evaluation after the round."""
        for evaluation in self.children(checkpoint):
            for decision in self.children(evaluation):
                if decision.step == "decide" and decision.parents[1] == evaluation.hash:
                    return decision
        return None

    def round_of(self, manifest: Manifest) -> int | None:
        """The round whose report names a manifest: the first, where several do."""
        rounds = [c.config["round"] for c in self.children(manifest) if c.step == "report"]
        return min(rounds, default=None)

    def weights(self, sha256: str) -> Manifest | None:
        """The model or the training that these weights came from."""
        models = self.of(*MODEL_STEPS)
        return next((m for m in models if m.stats["weights_sha256"] == sha256), None)
