"""The rows of a round, written and read beside their groups."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Self

from roundsmith.steps.overlap import Overlap
from roundsmith.store import DROPPED, EXAMPLES, GROUPS, PAIRS, Manifest, ObjectRef, Store
from roundsmith.types import Example, Group, Row


class ChosenRows:
    """A context that writes rows group by group as three objects: examples, pairs and why rows were
    dropped.
    """

    def __init__(self, store: Store, overlap: Overlap) -> None:
        self._store, self._overlap, self._stack = store, overlap, ExitStack()
        self._examples = self._stack.enter_context(store.writer(EXAMPLES))
        self._pairs = self._stack.enter_context(store.writer(PAIRS))
        self._dropped = self._stack.enter_context(store.writer(DROPPED))
        self.gold = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.__exit__(*failure)  # type: ignore[arg-type]  # the three that it was given

    def add(
        self, groups: Sequence[Group], built: Sequence[Sequence[Row]]
    ) -> list[tuple[Group, list[Row]]]:
        """The rows of some groups, the next ones; those too near to a held-out task are dropped.
        Returns every group with the rows that it kept, examples before pairs.
        """
        return [
            (group, sorted((row for row in rows if self._add(group, row)), key=_is_pair))
            for group, rows in zip(groups, built, strict=True)
        ]

    @property
    def objects(self) -> tuple[ObjectRef, ObjectRef, ObjectRef]:
        """Examples, pairs and reasons; to be read after the context's end."""
        return self._examples.ref, self._pairs.ref, self._dropped.ref

    def _add(self, group: Group, row: Row) -> bool:
        why = self._overlap.dropped(row, {group.task.task_id: group.task})
        if why is not None:
            self._dropped.add(why)
            return False
        self.gold += not row.provenance.parents
        if isinstance(row, Example):
            self._examples.add(row)
        else:
            self._pairs.add(row)
        return True


def _is_pair(row: Row) -> bool:
    return not isinstance(row, Example)


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
