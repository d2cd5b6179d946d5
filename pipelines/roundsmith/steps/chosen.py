"""The rows of a round, written and read beside their groups, one shard of groups in memory."""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Self

from roundsmith.steps.overlap import Overlap
from roundsmith.store import DROPPED, EXAMPLES, GROUPS, PAIRS, Manifest, ObjectRef, Store
from roundsmith.types import Example, Group, Row


class ChosenRows:
    """A context that writes rows group by group as three objects, examples, pairs and why rows were
    dropped, and knows of each group how many it kept.
    """

    def __init__(self, store: Store, overlap: Overlap) -> None:
        self._store, self._overlap, self._stack = store, overlap, ExitStack()
        self._examples = self._stack.enter_context(store.writer(EXAMPLES))
        self._pairs = self._stack.enter_context(store.writer(PAIRS))
        self._dropped = self._stack.enter_context(store.writer(DROPPED))
        self._num_examples, self._num_pairs = array("l"), array("l")
        self.gold = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.__exit__(*failure)  # type: ignore[arg-type]  # the three that it was given

    def add(self, groups: Sequence[Group], built: Sequence[Sequence[Row]]) -> None:
        """The rows of some groups, the next ones; those too near to a held-out task are dropped."""
        for group, rows in zip(groups, built, strict=True):
            before = self._examples.num_rows, self._pairs.num_rows
            for row in rows:
                self._add(group, row)
            self._num_examples.append(self._examples.num_rows - before[0])
            self._num_pairs.append(self._pairs.num_rows - before[1])

    @property
    def objects(self) -> tuple[ObjectRef, ObjectRef, ObjectRef]:
        """Examples, pairs and reasons; to be read after the context's end."""
        return self._examples.ref, self._pairs.ref, self._dropped.ref

    def beside(self, scored: Manifest) -> Iterator[tuple[Group, list[Row]]]:
        """Every group with the rows that it kept, read again, streamed."""
        examples, pairs, _ = self.objects
        one = self._store.read_rows(EXAMPLES, examples)
        other = self._store.read_rows(PAIRS, pairs)
        counts = zip(self._num_examples, self._num_pairs, strict=True)
        for group, (num_examples, num_pairs) in zip(
            self._store.read_all(GROUPS, scored), counts, strict=True
        ):
            yield group, [*islice(one, num_examples), *islice(other, num_pairs)]

    def _add(self, group: Group, row: Row) -> None:
        why = self._overlap.dropped(row, {group.task.task_id: group.task})
        if why is not None:
            self._dropped.add(why)
            return
        self.gold += not row.provenance.parents
        if isinstance(row, Example):
            self._examples.add(row)
        else:
            self._pairs.add(row)


def chosen_samples(
    store: Store, scored: Manifest, rows: Manifest
) -> Iterator[tuple[Group, set[str]]]:
    """Every group with the ids of its samples that rows were made from, streamed: rows are in the
    order of their groups.
    """
    examples, pairs = store.read_all(EXAMPLES, rows), store.read_all(PAIRS, rows)
    kinds: tuple[Iterator[Row], ...] = (examples, pairs)
    waiting: list[Row | None] = [next(of, None) for of in kinds]
    for group in store.read_all(GROUPS, scored):
        chosen: set[str] = set()
        for number, of in enumerate(kinds):
            row = waiting[number]
            while row is not None and row.provenance.task_id == group.task.task_id:
                chosen.update(row.provenance.parents)
                row = next(of, None)
            waiting[number] = row
        yield group, chosen
