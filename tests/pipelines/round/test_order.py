"""The order of the rounds: what begins where, what is looked at when, and what comes out when."""

import pytest

from roundsmith.round import RoundRefs, play_round, play_rounds

Call = tuple[str, str, dict[str, str]]


class Journal:
    """Plays rounds and keeps what was done; each step gives its name and number as reference."""

    def __init__(self, num_rounds: int, promoted: set[int], control: bool = True) -> None:
        self.calls: list[Call] = []
        self.labels: list[str] = []
        self.rounds: list[RoundRefs[str]] = []
        self.begun: list[int] = []
        numbers = range(1, num_rounds + 1)
        played = play_rounds(
            self.do, lambda _: self.begun[-1] in promoted, numbers, self.begun.append, control
        )
        for refs in played:
            self.rounds.append(refs)
            assert self.begun[-1] == len(self.rounds), "a round is given before the next begins"

    def do(self, step: str, split: str = "", of: str = "", /, **inputs: str) -> str:
        self.calls.append((step, split, inputs))
        self.labels.append(f"{step} {split} {of}".strip())
        return f"{step}/{len(self.calls)}"

    def of(self, step: str, split: str = "") -> list[dict[str, str]]:
        """What every call of a step was given, in order."""
        return [inputs for name, at, inputs in self.calls if name == step and split in ("", at)]


@pytest.mark.parametrize("promoted", [set(), {1}, {1, 2}, {2}])
def test_a_round_begins_with_the_last_promoted_checkpoint(promoted: set[int]) -> None:
    journal = Journal(3, promoted)
    model = first = journal.rounds[0].model
    assert first.startswith("load_model/")
    for number, refs in enumerate(journal.rounds, start=1):
        assert refs.model == model
        model = refs.checkpoint if number in promoted else model


def test_final_is_looked_at_in_the_last_round_for_first_checkpoint_and_control() -> None:
    journal = Journal(3, {1, 2})
    first, last = journal.rounds[0].model, journal.rounds[-1]
    *_, control = journal.of("train")
    looked = [inputs["model"] for inputs in journal.of("evaluate", "final")]
    assert looked[:2] == [first, last.checkpoint]
    assert len(looked) == 3
    assert looked[2] not in {refs.checkpoint for refs in journal.rounds}
    assert control["model"] == first
    assert control["like"] == last.checkpoint


def test_no_two_evaluations_or_trainings_of_a_round_have_the_same_label() -> None:
    labels = [x for x in Journal(1, set()).labels if x.startswith(("evaluate", "train"))]
    assert len(labels) == 7
    assert len(set(labels)) == 7
    assert {"evaluate final before", "evaluate final after", "evaluate final control"} < set(labels)


def test_without_control_nothing_is_trained_beside_the_rounds() -> None:
    journal = Journal(2, {1}, control=False)
    assert len(journal.of("train")) == 2
    assert len(journal.of("evaluate", "final")) == 2
    assert journal.of("select_gold") == []


def test_a_rule_that_ends_a_run_makes_that_round_the_last() -> None:
    begun: list[int] = []
    looked: list[str] = []

    def do(step: str, split: str = "", of: str = "", /, **inputs: str) -> str:
        looked.append(f"{begun[-1:]} {step} {split}")
        return f"{step}/{len(looked)}"

    def stops(decision: str, rows: str) -> bool:
        assert (decision.partition("/")[0], rows.partition("/")[0]) == ("decide", "select")
        return begun[-1] == 2

    played = play_rounds(do, lambda _: True, range(1, 6), begun.append, False, stops=stops)
    assert len(list(played)) == 2
    assert begun == [1, 2]
    assert [line for line in looked if "final" in line] == ["[2] evaluate final"] * 2


def test_a_recipe_with_its_own_writer_samples_with_it_and_trains_the_first_model() -> None:
    calls: list[Call] = []

    def do(step: str, split: str = "", of: str = "", /, **inputs: str) -> str:
        calls.append((step, split, inputs))
        return f"{step}/{len(calls)}"

    play_round(
        do,
        first="first",
        model="promoted",
        tasks="tasks",
        last=lambda decision, rows: True,
        control=False,
        own_writer=True,
        on_train=True,
    )
    by_step = {step: inputs for step, split, inputs in calls if split == ""}
    assert by_step["writer"] == {"tasks": "tasks", "model": "promoted", "first": "first"}
    assert by_step["sample"]["model"] == by_step["score"]["model"] == "writer/2"
    assert by_step["train"]["model"] == "first"
    looked = [inputs["model"] for step, split, inputs in calls if split == "train"]
    assert looked == ["first", by_step["report"]["checkpoint"]]
    assert {"writer", "train_before", "train_after"} <= set(by_step["report"])
