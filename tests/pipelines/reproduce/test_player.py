"""The order of an arm's steps, what arms share, and how they are tuned."""

from collections.abc import Mapping

import pytest

from roundsmith.claims import read_claims
from roundsmith.reproduce.choice import FIRST_TUNING_SEED, Choice
from roundsmith.reproduce.player import Player
from roundsmith.reproduce.tuning import order, tune
from roundsmith.steps.config import RunConfig
from roundsmith.types import Split

LAB = Choice("lab", ("one", "two"), "lab", limit=8)


class Journal:
    """Answers every step with a reference that tells how it was asked, and keeps all of them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, RunConfig, Mapping[str, str]]] = []

    def do(
        self, config: RunConfig, round: int, step: str, split: str, of: str, /, **refs: str
    ) -> str:
        self.asked.append((step, config, refs))
        rate = config.recipe_config.get("training", {}).get("learning_rate", 0)
        told = f"{rate}" if step == "train" else ""
        inside = ",".join(f"{name}={ref}" for name, ref in refs.items())
        return f"{step}{round}{split}<{config.recipe} {config.seed} {told}>({inside})"

    def tokens(self, refs: tuple[str, ...]) -> int | None:
        counts = {
            "sample1<gift": 300,
            "sample1<atomic": 0,
            "score1<atomic": 0,
            "train1<atomic": 250,
        }
        told = [count for ref in refs for name, count in counts.items() if ref.startswith(name)]
        return sum(told) if told else 200

    def of(self, step: str) -> list[tuple[RunConfig, Mapping[str, str]]]:
        return [(config, refs) for name, config, refs in self.asked if name == step]


def test_matched_arms_train_on_rows_that_know_of_each_other_for_as_many_steps() -> None:
    journal = Journal()
    player = Player(read_claims("gift"), LAB, journal)
    gift = player.play("gift", 3, {}, Split.FINAL)
    rft = player.play("rft", 3, {}, Split.FINAL)
    groups = [
        {key: ref for key, ref in refs.items() if key != "rows"}
        for _, refs in journal.of("matched")
    ]
    assert set(groups[0]) == {
        "arm_gift", "arm_rft", "arm_rft_rd", "arm_ssd", "arm_gift_dedup", "arm_rft_tokens",
    }  # fmt: skip
    assert all(group == groups[0] for group in groups)
    likes = [refs.get("like") for _, refs in journal.of("train")]
    assert likes[0] is None
    assert likes[-1] == gift.checkpoint
    assert gift.rounds[0].pool != rft.rounds[0].pool
    assert gift.tasks == rft.tasks


def test_arms_that_choose_otherwise_share_their_pool() -> None:
    journal = Journal()
    player = Player(read_claims("gift"), LAB, journal)
    pools = {player.play(arm, 0, {}, Split.FINAL).rounds[0].pool for arm in ("tail_0", "k_1")}
    assert len(pools) == 1


def test_an_arm_may_spend_as_many_tokens_as_another() -> None:
    journal = Journal()
    Player(read_claims("gift"), LAB, journal).play("rft_tokens", 0, {}, Split.FINAL)
    drawn = {
        config.recipe_config["samples_per_task"]
        for config, _ in journal.of("sample")
        if config.recipe == "rft"
    }
    assert drawn == {24, 36}  # 24 samples took 200 tokens, GiFT's took 300


def test_tokens_of_an_arm_that_learns_from_rewards_are_those_of_its_training() -> None:
    journal = Journal()
    player = Player(read_claims("atomic"), LAB, journal)
    played = player.play("ssd_tokens", 0, {}, Split.FINAL)
    drawn = [
        config.recipe_config["samples_per_task"]
        for config, _ in journal.of("sample")
        if config.recipe == "ssd"
    ]
    assert drawn == [8, 10]  # 8 samples took 200 tokens, the rewards of grpo 250
    assert played.rounds[0].pool[0].startswith("sample1<ssd")
    assert player.play("sft_grpo", 0, {}, Split.FINAL).checkpoint in [
        refs["like"] for _, refs in journal.of("train") if "like" in refs
    ]


def test_rounds_go_on_from_the_checkpoint_before() -> None:
    journal = Journal()
    played = Player(read_claims("gift"), LAB, journal).play("two_rounds", 0, {}, Split.FINAL)
    assert len(played.rounds) == 2
    assert played.rounds[1].start.startswith("train1")
    assert played.checkpoint.startswith("train2")


def test_two_rounds_are_held_against_one_of_as_many_steps() -> None:
    claims, journal = read_claims("gift"), Journal()
    player = Player(claims, LAB, journal)
    two = player.play("two_rounds", 0, {}, Split.FINAL)
    one = player.play("one_round_long", 0, {}, Split.FINAL)
    assert journal.of("train")[-1][1]["like"] == two.checkpoint
    assert one.rounds == two.rounds[:1]
    for claim in claims.claims:
        rounds = [claims.arms[arm].rounds for arm in (claim.better, claim.than)]
        steps_of = claims.arms[claim.than].steps_of
        assert rounds[0] == rounds[1] or claims.arms[steps_of].rounds == rounds[0]


def test_the_writer_is_a_control_and_the_base_model_is_untouched() -> None:
    journal = Journal()
    player = Player(read_claims("inverse_instruct"), LAB, journal)
    assert player.play("corpus", 0, {}, Split.FINAL).checkpoint.startswith("writer")
    untrained = player.play("untrained", 1, {}, Split.FINAL)
    assert untrained.checkpoint.startswith("load_model")
    assert untrained.rounds == ()
    assert [config.model for config, _ in journal.of("load_model")][-1] == "two"
    gold = player.play("corpus_steps", 0, {}, Split.FINAL)
    assert gold.rounds[0].rows.startswith("corpus")


def test_held_out_tasks_are_those_of_one_choice_and_training_tasks_each_seeds_own() -> None:
    journal = Journal()
    Player(read_claims("dstc"), LAB, journal).play("untrained", 5, {}, Split.FINAL)
    (config, refs) = journal.of("compared_tasks")[0]
    assert config.seed == 5
    assert "5" in refs["drawn"]
    assert "gift 0" not in refs["held"]
    assert "<dstc 0 >" in refs["held"]


def test_atomic_looks_at_what_it_was_trained_on_too() -> None:
    player = Player(read_claims("atomic"), LAB, Journal())
    assert set(player.play("sft", 0, {}, Split.FINAL).evaluations) == {"final", "train"}
    assert set(player.play("sft", 0, {}, Split.GATE).evaluations) == {"gate"}


def test_tuning_takes_the_best_of_the_grid_on_gate_with_seeds_of_its_own() -> None:
    journal = Journal()
    player = Player(read_claims("gift"), LAB, journal)

    def score(ref: str) -> float:
        assert ref.startswith("evaluate1gate")
        return 1.0 if "0.0009" in ref and "rft" not in ref.split("model=train")[1][:9] else 0.5

    found = tune(player, ("gift", "rft", "untrained", "tail_0"), score, {})
    assert found["gift"] == {"learning_rate_times": 3.0}
    assert found["rft"] == {"learning_rate_times": 0.3}  # the first of equals
    assert set(found) == {"gift", "rft"}
    assert {config.seed for config, _ in journal.of("train")} == {FIRST_TUNING_SEED}


def test_what_is_known_is_not_tuned_again() -> None:
    journal, known = Journal(), {"rft": {"learning_rate_times": 1.0}}
    found = tune(Player(read_claims("gift"), LAB, journal), ("rft",), lambda ref: 0.5, known)
    assert found["rft"] == {"learning_rate_times": 1.0}
    looked = [config.recipe for config, _ in journal.of("evaluate")]
    assert len(looked) == len(read_claims("gift").grids["sft"])  # of gift, whose steps it takes


def test_an_arm_is_tuned_after_the_one_whose_tokens_it_takes() -> None:
    atomic = read_claims("atomic")
    assert order(atomic, ("ssd_tokens",)) == ["sft_grpo", "sft", "ssd"]
    arms = {
        **atomic.arms,
        "ssd_tokens": atomic.arms["ssd_tokens"].model_copy(update={"steps_of": "sft"}),
    }
    claims = atomic.model_copy(update={"arms": arms})
    assert "sft_grpo" in order(claims, ("ssd_tokens",))


@pytest.mark.parametrize("arm", ["rft", "tail_0", "gold"])
def test_an_arm_is_tuned_after_the_one_whose_steps_it_takes(arm: str) -> None:
    assert order(read_claims("gift"), (arm,))[0] == "gift"
