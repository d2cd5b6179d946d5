"""Which training rows are dropped because they are too near to a held-out task, and why.

Exact: its prompt, its description (by words) or its program (by syntax tree). N-grams: so many of
its words in a row. Near-duplicates: most of its word 3-grams. Descriptions and bodies of references
are looked for in the description of the task that a row was made from, in the one that the row
itself asks with, which a model may have written, and in its answers; a paraphrase, or a program of
another structure, is not found.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
from pydantic import Field

from roundsmith.config import Settings
from roundsmith.recipes.identities import row_id
from roundsmith.recipes.styles import reference_body
from roundsmith.steps.banned import Banned
from roundsmith.steps.contamination import HeldOut, asked
from roundsmith.steps.shingles import Alike, Hashes, shingles, words_of
from roundsmith.store import DroppedRow
from roundsmith.types import Example, Row, Task

SHINGLE = 3
"""Words of a shingle of near-duplicates."""
LEAST_SHINGLES = 5
"""Shingles of a text that is looked for: shorter ones are near to everything."""
EXACT, TEXT, NGRAM, NEAR = "exact", "text", "n-gram", "near-duplicate"


class ContaminationConfig(Settings):
    """How near to a held-out task a training row may come; what is equal to one is always dropped.
    The lab's tasks share the words of their atoms by design, and its preset looks for neither.
    """

    ngram: int = Field(13, ge=0)
    """Words in a row that a training row may not share with a held-out task; 0 looks for none."""
    similarity: float = Field(0.8, ge=0, le=1)
    """Share of common word 3-grams from which on a text counts as a near-duplicate; 0 looks for
    none.
    """
    texts: bool | None = None
    """Whether a row is dropped that holds a held-out description or body anywhere; by default as
    the recipe has it.
    """


class Overlap:
    """The held-out tasks, ready to be compared with rows. With `texts` also a row that holds one's
    description or body anywhere, prompt included, is dropped (Magicoder's rule).
    """

    def __init__(
        self, held_out: Sequence[Task], config: ContaminationConfig, texts: bool = False
    ) -> None:
        self._exact = HeldOut.of(held_out)
        self._banned = Banned.of(held_out) if texts else Banned()
        self._ngram = config.ngram
        told = [(task.task_id, words_of(text)) for task in held_out for text in _texts(task)]
        self._names = [name for name, _ in told]
        grams = [shingles(words, config.ngram) if config.ngram else _NONE for _, words in told]
        counts = [len(part) for part in grams]
        # Sorted, so that a row's n-grams are found among those of all tasks by bisection.
        every = np.concatenate([*grams, _NONE])
        order = np.argsort(every, kind="stable")
        self._grams, self._owners = every[order], np.repeat(np.arange(len(told)), counts)[order]
        sets = [shingles(words, SHINGLE) if config.similarity else _NONE for _, words in told]
        long = [members if len(members) >= LEAST_SHINGLES else _NONE for members in sets]
        self._alike = Alike(long, config.similarity)
        self._like = lru_cache(maxsize=1024)(self._compared)  # a task's rows share what they say

    def dropped(self, row: Row, tasks: Mapping[str, Task]) -> DroppedRow | None:
        """Why a row is dropped, None for one that is kept; `tasks` are the training tasks by id."""
        task = tasks.get(row.provenance.task_id)
        if self._exact.repeats(row, task):
            return _dropped(row, EXACT, "", "")
        if (text := self._banned.held_by(row)) is not None:
            return _dropped(row, TEXT, "", text)
        for words in _words(row, task):
            if (found := self._like(tuple(words))) is not None:
                return _dropped(row, *found)
        return None

    def _compared(self, words: Sequence[str]) -> tuple[str, str, str] | None:
        return self._shared(words) or self._near(words)

    def _shared(self, words: Sequence[str]) -> tuple[str, str, str] | None:
        if not self._ngram or not len(self._grams):
            return None
        grams = shingles(words, self._ngram)
        at = np.searchsorted(self._grams, grams)
        hits = np.flatnonzero(self._grams[np.minimum(at, len(self._grams) - 1)] == grams)
        if not len(hits):
            return None
        first = int(hits[0])
        shared = " ".join(words[first : first + self._ngram])
        return NGRAM, self._names[self._owners[at[first]]], shared

    def _near(self, words: Sequence[str]) -> tuple[str, str, str] | None:
        members = shingles(words, SHINGLE)
        found = self._alike.nearest(members) if len(members) >= LEAST_SHINGLES else None
        return None if found is None else (NEAR, self._names[found[0]], f"{found[1]:.2f} alike")


_NONE: Hashes = np.empty(0, np.uint64)


def _texts(task: Task) -> Iterator[str]:
    yield task.description
    if task.reference is not None:
        yield reference_body(task)


def _words(row: Row, task: Task | None) -> Iterator[list[str]]:
    """What a row says: its task's description, its own where it is another, and its answers."""
    if task is not None:
        given = words_of(task.description)
        yield given
        if (own := asked(row.prompt, task)) != given:
            yield own
    answers = (row.completion,) if isinstance(row, Example) else (row.chosen, row.rejected)
    yield from map(words_of, answers)


def _dropped(row: Row, why: str, held_out: str, evidence: str) -> DroppedRow:
    return DroppedRow(row_id(row), row.provenance.task_id, why, held_out, evidence)
