"""The recipe of atomic functions: what it trains on, by which stages, and its sets."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from roundsmith.errors import ConfigError
from roundsmith.lab import atomic
from roundsmith.lab.atomic import KEPT, WITHHELD, AtomsCorpus, tasks
from roundsmith.lab.atoms import TOPICS
from roundsmith.lab.bases import MANIFEST, trained_on
from roundsmith.lab.compose import Composition, program
from roundsmith.lab.train import BaseSettings, train_base
from roundsmith.recipes.atomic import Atomic, AtomicConfig
from roundsmith.types import Group, Split, Task
from tests.pipelines.recipes.groups import TASK


def of(name: str, place: int = 0) -> Task:
    return replace(TASK, meta={"set": name, "place": str(place)})


def trained(task: Task, **config: object) -> bool:
    return bool(Atomic(AtomicConfig.model_validate(config)).select(Group(task, ()), Random(0)))


def test_the_grid_of_sft_is_atoms_composites_and_both() -> None:
    assert trained(of("atom"))
    assert trained(of("A", 39))
    assert not trained(of("A", 40))
    assert not trained(of("atom"), atoms=False)
    assert not trained(of("A"), composites=0)
    assert not trained(of("B"))
    assert not trained(TASK)


@pytest.mark.parametrize(
    ("objective", "stages"),
    [("sft", ["sft"]), ("grpo", ["grpo"]), ("sft+grpo", ["sft", "grpo"])],
)
def test_the_objective_chooses_the_stages(objective: str, stages: list[str]) -> None:
    recipe = Atomic.from_config({"cpu_s": 2.0, "training": {"objective": objective}})
    assert [stage.objective for stage in recipe.stages()] == stages
    assert recipe.needs_references
    if "grpo" in stages:
        assert recipe.stages()[-1].cpu_s == 2.0
        assert recipe.stages()[-1].beta == 0.0


def test_tasks_that_name_no_set_are_refused() -> None:
    with pytest.raises(ConfigError, match="use --tasks atomic"):
        Atomic(AtomicConfig()).check([TASK])
    with pytest.raises(ConfigError, match="saw none that its settings train on"):
        Atomic(AtomicConfig(atoms=False, composites=0)).check([of("atom"), of("A")])


def test_a_composite_that_names_no_place_is_refused_by_name() -> None:
    for place in ({}, {"place": "first"}, {"place": "-1"}):
        own = replace(TASK, meta={"set": "A", **place})
        with pytest.raises(ConfigError, match=r"task .*: expected a task of the set A whose meta"):
            Atomic(AtomicConfig()).check([of("atom"), own])


def test_one_atom_of_each_topic_is_withheld() -> None:
    assert {atom.topic for atom in WITHHELD} == {topic.TOPIC for topic in TOPICS}
    assert len(WITHHELD) == 10
    assert len(KEPT) == 90


def test_the_sets_are_what_they_say_and_share_no_behaviour_but_that_of_atoms() -> None:
    withheld = {atom.name for atom in WITHHELD}
    chains: dict[str, list[list[str]]] = {}
    for split in Split:
        for task in tasks(split):
            name = f"{split}/{task.meta['set']}"
            chains.setdefault(name, []).append(task.meta["atoms"].split("+"))
    assert set(chains) == {"train/atom", "train/A", "gate/B", "final/B", "final/C"}
    assert all(len(chain) == 1 for chain in chains["train/atom"])
    for name in ("train/A", "gate/B", "final/B"):
        assert all(len(chain) == 2 and not withheld & set(chain) for chain in chains[name])
    assert all(len(chain) == 3 or withheld & set(chain) for chain in chains["final/C"])
    assert {len(chain) for chain in chains["final/C"]} == {2, 3}
    ids = [task.task_id for split in Split for task in tasks(split)]
    assert len(set(ids)) == len(ids)


def test_no_row_of_the_second_base_shows_a_chain_or_a_withheld_atom() -> None:
    withheld = {atom.name for atom in WITHHELD}
    shown: set[str] = set()
    programs = [program(Composition((atom,))) for atom in WITHHELD]
    for row in islice(AtomsCorpus(3).rows(), 3000):
        shown.update(row.compositions)
        assert not any(text in row.text for text in programs)
    assert shown == {atom.name for atom in KEPT}
    assert not shown & withheld


@pytest.mark.slow
def test_the_manifest_of_the_second_base_names_single_atoms_alone_and_none_withheld(
    tmp_path: Path,
) -> None:
    small = BaseSettings(hidden=48, layers=1, heads=2, intermediate=64, steps=6, finish_share=0.5)
    train_base(tmp_path / "atoms", 0, small, AtomsCorpus)
    shown = trained_on(tmp_path / "atoms" / MANIFEST)
    assert shown
    assert shown <= {atom.name for atom in KEPT}
    assert not shown & {atom.name for atom in WITHHELD}


def test_the_words_atomic_and_lab_name_other_tasks() -> None:
    from roundsmith.benchmarks.load import load_tasks

    loaded = load_tasks("atomic")
    assert loaded.of(Split.TRAIN) == tuple(atomic.tasks(Split.TRAIN))
    assert loaded.source_hash != load_tasks("lab").source_hash
