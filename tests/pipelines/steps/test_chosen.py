"""Rows beside their groups, streamed: the same as when all are held at once."""

from pathlib import Path

from roundsmith.commands.bench.made import groups
from roundsmith.hashing import content_hash
from roundsmith.pair_builder.rules import load_rules, select
from roundsmith.recipes.identities import row_id
from roundsmith.steps.chosen import ChosenRows, chosen_samples
from roundsmith.steps.config import RECIPES
from roundsmith.steps.overlap import ContaminationConfig, Overlap
from roundsmith.store import DROPPED, EXAMPLES, GROUPS, Manifest, Store

NONE = ContaminationConfig(ngram=0, similarity=0)


def test_every_group_comes_back_with_the_rows_that_it_kept(tmp_path: Path) -> None:
    store, made, rules = Store(str(tmp_path)), groups(7), load_rules([RECIPES])
    built = [list(select(rules, "gift", {}, 0, group)) for group in made]
    refs = [store.write_rows(GROUPS, part) for part in (made[:3], made[3:])]
    scored = store.commit(Manifest("score", content_hash("score"), tuple(refs)))
    held_out = [made[2].task]
    with ChosenRows(store, Overlap(held_out, NONE)) as chosen:
        beside = [*chosen.add(made[:3], built[:3]), *chosen.add(made[3:], built[3:])]
    assert [group for group, _ in beside] == made
    kept = [rows for _, rows in beside]
    assert kept == [*built[:2], [], *built[3:]]
    assert chosen.gold == 6
    examples, _, dropped = chosen.objects
    assert list(store.read_rows(EXAMPLES, examples)) == [row for rows in kept for row in rows]
    reasons = list(store.read_rows(DROPPED, dropped))
    assert [why.row_id for why in reasons] == [row_id(row) for row in built[2]]

    rows = store.commit(Manifest("select", content_hash("select"), chosen.objects))
    marked = [ids for _, ids in chosen_samples(store, scored, rows)]
    assert marked == [{p for row in part for p in row.provenance.parents} for part in kept]
