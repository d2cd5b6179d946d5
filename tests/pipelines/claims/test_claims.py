"""The claims files: what they fix holds together, and each arm's settings exist."""

from collections import Counter
from random import Random

import pytest

from roundsmith.claims import Family, names, parse_claims, read_claims
from roundsmith.commands.reproduce_all import references_alone
from roundsmith.errors import ConfigError
from roundsmith.lab.atomic import tasks
from roundsmith.reproduce.arms import chosen_arms, chosen_seeds, named_arms, pairs
from roundsmith.reproduce.choice import Choice, built, config_of, recipe_of
from roundsmith.types import Group, Split

SMALL = """
recipe = "gift"
method = "gift"
needs = "tests"
needs_tests = true
needs_references = false
seeds = 2
grids = { sft = [{ learning_rate_times = 1.0 }] }
claims = [{ claim = "c", source = "s", better = "gift", than = "none" }]
[arms.gift]
says = "it"
[arms.none]
says = "nothing"
train = "nothing"
"""
LAB = Choice("lab", ("lab",), "lab")


def test_every_recipe_with_claims_of_its_own_is_there() -> None:
    assert names() == ["atomic", "dstc", "gift", "inverse_instruct"]


@pytest.mark.parametrize("name", names())
def test_every_arm_has_settings_that_its_recipe_knows(name: str) -> None:
    claims = read_claims(name)
    for arm, one in claims.arms.items():
        grid = claims.grids[claims.arms[claims.chain(arm)[-1]].grid]
        rates = {
            str(built(config_of(claims, LAB, arm, 0, row)).config.training.model_dump())
            for row in grid
        }
        if one.train != "nothing":
            assert len(rates) == len(grid), f"{arm}: rows of its grid that change nothing"


@pytest.mark.parametrize("name", names())
def test_every_arm_drops_the_held_out_texts_that_the_method_drops(name: str) -> None:
    claims = read_claims(name)
    texts = {config_of(claims, LAB, arm, 0, {}).contamination.texts for arm in claims.arms}
    assert texts == {True if name == "inverse_instruct" else None}


@pytest.mark.parametrize("name", names())
def test_each_comparison_has_its_controls(name: str) -> None:
    claims = read_claims(name)
    trained = [arm for arm in claims.arms.values() if arm.headline]
    assert any(arm.train == "nothing" for arm in trained)
    assert any(arm.recipe == "ssd" and arm.steps_of for arm in trained)
    assert claims.seeds >= (10 if name in ("gift", "dstc") else 5)
    assert all(claims.arms[c.better].says and claims.arms[c.than].says for c in claims.claims)


def test_what_is_held_against_the_references_alone_is_known_by_what_it_does() -> None:
    found = {name: references_alone(read_claims(name)) for name in names()}
    arms = {"gift": "gold", "dstc": "gold", "inverse_instruct": "corpus_steps"}
    assert found == {**arms, "atomic": None}, "of atomic, all rows are references"


def test_each_comparison_has_its_arms_at_equal_tokens() -> None:
    found = {
        (name, arm): (one.like, one.tokens_of, one.scaled, one.grid)
        for name in names()
        for arm, one in read_claims(name).arms.items()
        if one.tokens_of
    }
    dstc = "dpo_minimax_joined"
    assert found == {
        ("gift", "rft_tokens"): ("rft", "gift", "samples_per_task", "sft"),
        ("dstc", "ssd_tokens"): ("ssd", dstc, "samples_per_task", "sft"),
        ("inverse_instruct", "ssd_tokens"): ("ssd", "inverse", "samples_per_task", "sft"),
        ("inverse_instruct", "regenerated_tokens"): ("regenerated", "inverse", "candidates", "sft"),
        ("atomic", "ssd_tokens"): ("ssd", "sft_grpo", "samples_per_task", "sft"),
    }


@pytest.mark.parametrize("name", names())
def test_an_arm_at_equal_tokens_is_held_against_the_one_whose_tokens_it_takes(name: str) -> None:
    claims = read_claims(name)
    for arm, one in claims.arms.items():
        if one.tokens_of:
            assert [c.better for c in claims.claims if c.than == arm] == [one.tokens_of]
            settings = built(config_of(claims, LAB, arm, 0, {}, scale=17)).config
            assert getattr(settings, one.scaled) == 17
            if recipe_of(claims, arm) == "ssd":
                assert settings.selected_per_task > 17, (
                    "raw samples that are not taken teach nothing"
                )


def test_claims_at_equal_tokens_that_came_later_leave_the_other_families_as_they_were() -> None:
    sizes = {
        name: [
            sum(claims.family(claim) is family for claim in claims.claims)
            for family in (Family.HEADLINE, Family.TOKENS, Family.SWEEP)
        ]
        for name in names()
        for claims in [read_claims(name)]
    }
    assert sizes == {
        "atomic": [7, 1, 1],
        "dstc": [13, 1, 0],
        "gift": [7, 0, 7],
        "inverse_instruct": [4, 2, 5],
    }


def test_gift_and_rft_draw_equally_many_codes() -> None:
    claims = read_claims("gift")
    for preset in ("lab", "laptop", "paper"):
        choice = Choice(preset, ("lab",), "lab")
        gift, rft, rewritten = (
            built(config_of(claims, choice, arm, 0, {})).config for arm in ("gift", "rft", "rft_rd")
        )
        codes = gift.iterations * gift.codes_per_iteration
        assert codes == rft.samples_per_task == rewritten.samples_per_task


def test_an_arm_that_is_like_another_takes_its_recipe_and_settings() -> None:
    claims = read_claims("gift")
    assert recipe_of(claims, "rft_tokens") == "rft"
    config = config_of(claims, LAB, "two_rounds_tail_0", 0, {"learning_rate_times": 2.0})
    assert config.recipe_config["tail"] == 0.0
    assert config.recipe_config["training"]["learning_rate"] == pytest.approx(6e-4)


def test_machines_share_the_seeds_of_a_comparison_and_play_no_others() -> None:
    claims = read_claims("gift")
    assert chosen_seeds(claims, None, ()) == tuple(range(10))
    assert chosen_seeds(claims, 3, ()) == (0, 1, 2)
    assert chosen_seeds(claims, None, (9, 2, 9)) == (2, 9)
    assert chosen_seeds(claims, 12, (11,)) == (11,)
    with pytest.raises(ConfigError, match="expected 0 to 9, saw 10, -1"):
        chosen_seeds(claims, None, (10, 4, -1))


def test_headline_arms_come_first_and_seeds_together() -> None:
    claims = read_claims("gift")
    arms = chosen_arms(claims, "all", ["tail_0", "gift", "untrained"])
    assert pairs(arms, claims, (0, 1)) == [
        ("untrained", 0),
        ("gift", 0),
        ("untrained", 1),
        ("gift", 1),
        ("tail_0", 0),
        ("tail_0", 1),
    ]
    few = read_claims("atomic")
    assert pairs(("untrained_64", "sft"), few, (0, 1)) == [
        ("untrained_64", 0),
        ("sft", 0),
        ("sft", 1),
    ]
    assert pairs(("untrained_64", "sft"), few, (3,)) == [("sft", 3)]
    assert "tail_0" not in chosen_arms(claims, "headline", [])


def test_named_arms_are_played_of_the_recipes_that_have_them_and_of_no_other() -> None:
    read = {name: read_claims(name) for name in names()}
    assert list(named_arms(read, [])) == names()
    assert named_arms(read, ["gold", "gift"]) == {"dstc": ["gold"], "gift": ["gold", "gift"]}
    with pytest.raises(ConfigError, match="--arm nobody: expected one of"):
        named_arms(read, ["gold", "nobody"])


def test_atomics_arms_train_on_as_many_composites_as_they_say() -> None:
    claims = read_claims("atomic")
    choice = Choice("lab", ("lab",), "atomic", limit=claims.limit)
    for arm, atoms, composites in (("sft", 90, 40), ("sft_atoms", 90, 0), ("sft_160", 90, 160)):
        config = config_of(claims, choice, arm, 0, {})
        assert config.limit is not None
        given = tasks(Split.TRAIN)
        assert config.limit >= len(given)
        trained = [t for t in given if built(config).select(Group(t, ()), Random(0))]
        sets = Counter(task.meta["set"] for task in trained)
        assert (sets["atom"], sets["A"]) == (atoms, composites)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('better = "gift"', 'better = "nobody"', r"claims\[0\].better: expected an arm"),
        ('says = "it"', 'says = "it"\nlike = "gift"', "no circle"),
        ('says = "it"', 'says = "it"\ngrid = "dpo"', r"arms.gift.grid: expected one of \['sft'\]"),
        ("[{ learning_rate_times = 1.0 }] }", "[{ a = 1 }], b = [] }", "all of one size"),
        ('says = "it"', 'says = "it"\ntokens_of = "none"', "tokens_of and scaled together"),
        ("seeds = 2", "seeds = two", "expected TOML"),
        ("seeds = 2", "seed = 2", "no such setting"),
    ],
)
def test_a_file_that_does_not_hold_together_is_refused(old: str, new: str, told: str) -> None:
    assert parse_claims(SMALL, "small").seeds == 2
    with pytest.raises(ConfigError, match=told):
        parse_claims(SMALL.replace(old, new, 1), "small")
