"""The rows of every selection chosen again, and held against the held-out tasks again."""

import inspect
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from roundsmith.hashing import file_sha256
from roundsmith.lineage.find import ROW_KINDS
from roundsmith.lineage.history import GROUP_STEPS, History
from roundsmith.lineage.integrity import Findings
from roundsmith.pair_builder.rules import Rules, configure, find_rule, load_rules, select
from roundsmith.recipes.contract import Recipe
from roundsmith.recipes.identities import row_id
from roundsmith.steps.inputs import split_object
from roundsmith.steps.overlap import ContaminationConfig, Overlap
from roundsmith.store import DROPPED, GROUPS, TASKS, DroppedRow, Manifest
from roundsmith.types import Group, Row, Split, Task

log = logging.getLogger(__name__)
KEPT_OUT = (Split.GATE, Split.FINAL)


@dataclass
class Rows:
    """The rows that a selection kept, by id, and those that it dropped."""

    kept: Counter[str] = field(default_factory=Counter)
    dropped: Counter[DroppedRow] = field(default_factory=Counter)

    @property
    def names(self) -> Counter[str]:
        """The ids of all of them."""
        return self.kept + Counter(row.row_id for row in self.dropped.elements())


def check_choices(history: History, recipes: tuple[str, ...], findings: Findings) -> None:
    """The rows of every selection chosen again from its groups, by the recipe with its seed, and
    dropped again where they are too near to a held-out task.

    Where the recipe's file is another one today, nothing can be said, and a warning is. Where the
    store lacks a file of held-out tasks, which rows were dropped is taken from the store.
    """
    rules = load_rules(recipes)
    for manifest in history.of("select"):
        config = manifest.config
        if config.get("source") != _source(rules, config["recipe"]):
            log.warning(
                "%s: the recipe %s is another file than chose these rows: not chosen again",
                manifest.reference,
                config["recipe"],
            )
            continue
        findings.expect("selections", manifest.reference, _differs(history, manifest, rules))


def _differs(history: History, manifest: Manifest, rules: Rules) -> str | None:
    store = history.store
    told = Rows(
        Counter(row_id(row) for kind in ROW_KINDS for row in store.read_all(kind, manifest)),
        Counter(store.read_all(DROPPED, manifest)),
    )
    overlap, again = _overlap(history, manifest, rules), Rows()
    for group, row in _chosen(history, manifest, rules):
        tasks = {group.task.task_id: group.task}
        why = None if overlap is None else overlap.dropped(row, tasks)
        if why is None:
            again.kept[row_id(row)] += 1
        else:
            again.dropped[why] += 1
    if told.names != again.names:
        return "choosing again gives other rows"
    if overlap is not None and told.dropped != again.dropped:
        return "held against the held-out tasks again, other rows are dropped, or for other reasons"
    return None


def _chosen(history: History, manifest: Manifest, rules: Rules) -> Iterator[tuple[Group, Row]]:
    config = manifest.config
    given = [parent for parent in history.parents(manifest) if parent.step in GROUP_STEPS]
    for group in history.store.read_all(GROUPS, *given):
        for row in select(rules, config["recipe"], config["config"], config["seed"], group):
            yield group, row


def _overlap(history: History, manifest: Manifest, rules: Rules) -> Overlap | None:
    """What the rows were held against; None where the store does not hold all of these tasks, as
    those of a file that must not get worse before the gate has looked at it.
    """
    config = manifest.config
    tasks = next((m for m in history.parents(manifest) if m.step == "tasks"), None)
    files = {kept.config["source"]: kept for kept in history.of("kept")}
    if tasks is None or not files.keys() >= set(config.get("keep", ())):
        return None
    recipe = configure(find_rule(rules, config["recipe"]), config["recipe"], config["config"])
    assert isinstance(recipe, Recipe)
    how = ContaminationConfig.model_validate(config["contamination"])
    refs = [split_object(tasks, split) for split in KEPT_OUT]
    refs += [split_object(files[name], Split.GATE) for name in config["keep"]]
    held: list[Task] = [task for ref in refs for task in history.store.read_rows(TASKS, ref)]
    return Overlap(held, how, recipe.decontaminates if how.texts is None else how.texts)


def _source(rules: Rules, name: str) -> str:
    """The hash of the file that a recipe is in."""
    return file_sha256(Path(inspect.getfile(find_rule(rules, name))))
