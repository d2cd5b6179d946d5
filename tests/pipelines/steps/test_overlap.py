"""Rows that come too near to a held-out task are dropped, with the reason."""

import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith.benchmarks.load import load_tasks
from roundsmith.recipes.contract import gold_example
from roundsmith.recipes.styles import ChatStyle, CompletionStyle
from roundsmith.steps.overlap import ContaminationConfig, Overlap
from roundsmith.steps.shingles import Alike, miss_rate, shingles, signature, similarity, words_of
from roundsmith.store import DroppedRow
from roundsmith.types import Split, Task
from tests.pipelines.recipes.groups import TASK

LONG = (
    "Given a list of daily temperatures return how many days in a row were warmer than the last "
    "one."
)
HELD = replace(
    TASK,
    task_id="held",
    split=Split.FINAL,
    description=LONG,
    head="def warmer(days):",
    entry_point="warmer",
    reference="def warmer(days):\n    best = run = 0\n    for a, b in zip(days, days[1:]):\n"
    "        run = run + 1 if b > a else 0\n        best = max(best, run)\n    return best\n",
)


def why(
    description: str, answer: str = "    return 1", texts: bool = False, **config: float
) -> DroppedRow | None:
    task = replace(TASK, description=description)
    row = gold_example(task, CompletionStyle().code(task, description), answer, "gift")
    overlap = Overlap([HELD], ContaminationConfig.model_validate(config), texts)
    return overlap.dropped(row, {task.task_id: task})


def test_a_row_of_its_own_is_kept() -> None:
    assert why("Turn a text around.", "    return text[::-1]") is None
    assert why("Given a list of daily temperatures return the mean.") is None


def test_what_repeats_a_task_is_exact_whatever_the_settings_are() -> None:
    found = why(LONG.upper(), ngram=0, similarity=0)
    assert found is not None
    assert (found.why, found.task_id) == ("exact", TASK.task_id)


@pytest.mark.parametrize("style", [CompletionStyle(), ChatStyle()])
def test_a_program_in_an_answer_of_a_corpus_is_exact_whatever_the_settings_are(
    style: CompletionStyle | ChatStyle,
) -> None:
    assert HELD.reference is not None
    lines = (f"{line}  # so\n" for line in HELD.reference.splitlines())
    answer = f"Of course:\n\n```python\n{''.join(lines)}```\n\nIt counts."
    task = replace(TASK, description="Turn a text around.", head="", entry_point="")
    row = gold_example(task, style.code(task, task.description), answer, "inverse_instruct")
    for config in (ContaminationConfig(), ContaminationConfig(ngram=0, similarity=0)):
        found = Overlap([HELD], config, texts=True).dropped(row, {task.task_id: task})
        assert found is not None
        assert found.why == "exact"


def test_a_run_of_words_is_found_and_told() -> None:
    text = (
        f"Please note: {' '.join(LONG.split()[3:17])}, or say none, if there is no such day at all."
    )
    found = why(text, similarity=0)
    assert found is not None
    assert (found.why, found.held_out) == ("n-gram", "held")
    assert found.evidence == " ".join(LONG.lower().split()[3:16])
    assert why(text, similarity=0, ngram=15) is None
    assert why(text, similarity=0, ngram=0) is None


def test_a_run_of_words_of_a_program_is_found_in_an_answer() -> None:
    assert HELD.reference is not None
    body = "\n".join(HELD.reference.splitlines()[1:5]) + "\n    return best, run"
    found = why("Turn a text around.", body, similarity=0)
    assert found is not None
    assert (found.why, found.held_out) == ("n-gram", "held")


@pytest.mark.parametrize("style", [CompletionStyle(), ChatStyle()])
@pytest.mark.parametrize("head", [TASK.head, ""])
@pytest.mark.parametrize(("ngram", "kind"), [(0, "near-duplicate"), (13, "n-gram")])
def test_a_row_that_asks_in_words_of_its_own_is_looked_at_too(
    style: CompletionStyle | ChatStyle, head: str, ngram: int, kind: str
) -> None:
    """Such as an instruction that the model wrote for the task's code."""
    task = replace(TASK, description="Turn a text around.", head=head)
    made = LONG.replace("Given", "Take")
    overlap = Overlap([HELD], ContaminationConfig(ngram=ngram))
    row = gold_example(task, style.code(task, made), "    return text[::-1]", "inverse_instruct")
    found = overlap.dropped(row, {task.task_id: task})
    assert found is not None
    assert (found.why, found.held_out) == (kind, "held")
    plain = gold_example(task, style.code(task, "Turn it."), "    return text[::-1]", "gift")
    assert overlap.dropped(plain, {task.task_id: task}) is None


def test_a_text_with_a_word_changed_is_a_near_duplicate() -> None:
    changed = LONG.replace("Given", "Take")
    found = why(changed, ngram=0)
    assert found is not None
    assert (found.why, found.held_out) == ("near-duplicate", "held")
    assert float(found.evidence.split()[0]) == pytest.approx(16 / 18, abs=0.01)
    assert why(changed, ngram=0, similarity=0.95) is None
    assert why(changed, ngram=0, similarity=0) is None


def test_a_text_anywhere_in_a_row_is_asked_for_by_the_recipe() -> None:
    answer = f"    # {LONG}\n    return 1"
    found = why("Turn a text around.", answer, texts=True, ngram=0, similarity=0)
    assert found is not None
    assert (found.why, found.evidence) == ("text", LONG.lower())
    assert why("Turn a text around.", answer, ngram=0, similarity=0) is None


@pytest.mark.parametrize("by", ["exact", "text", "n-gram"])
def test_an_accent_of_its_own_character_hides_no_text(by: str) -> None:
    held = replace(TASK, task_id="held", description="Zähle für jeden Tag die Grüße aus Köln, ohne")
    told = unicodedata.normalize("NFD", held.description)
    assert told != held.description
    task = replace(TASK, description=told if by == "exact" else "Turn a text around.")
    answer = "    return 1" if by == "exact" else f"    # Please: {told}\n    return 1"
    row = gold_example(task, CompletionStyle().code(task, task.description), answer, "gift")
    config = ContaminationConfig(ngram=6 if by == "n-gram" else 0, similarity=0)
    found = Overlap([held], config, by == "text").dropped(row, {task.task_id: task})
    assert found is not None
    assert found.why == by


def test_no_held_out_task_drops_nothing() -> None:
    task: Task = replace(TASK, description=LONG)
    row = gold_example(task, CompletionStyle().code(task, LONG), "    return 1", "gift")
    assert Overlap([], ContaminationConfig(), True).dropped(row, {task.task_id: task}) is None


def test_few_of_mbpps_training_tasks_are_too_near_to_its_final_ones() -> None:
    loaded = load_tasks("tests/data/sanitized-mbpp.json.gz")
    overlap = Overlap(loaded.of(Split.FINAL) + loaded.of(Split.GATE), ContaminationConfig())
    style, train = CompletionStyle(), {task.task_id: task for task in loaded.of(Split.TRAIN)}
    rows = [
        gold_example(t, style.code(t, t.description), style.gold(t), "") for t in train.values()
    ]
    found = [dropped for row in rows if (dropped := overlap.dropped(row, train))]
    assert 0 < len(found) < 0.15 * len(rows), found


members = st.sets(st.integers(0, 2**64 - 1), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(members, members)
def test_similarity_is_jaccards(one: set[int], other: set[int]) -> None:
    first, second = (np.array(sorted(each), np.uint64) for each in (one, other))
    assert similarity(first, second) == len(one & other) / len(one | other)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcdefgh"), max_size=30), st.integers(1, 5))
def test_equal_runs_of_words_have_equal_hashes_and_others_have_not(
    words: list[str], n: int
) -> None:
    hashes = shingles(words, n)
    runs = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
    assert len(hashes) == len(runs)
    assert len(set(hashes.tolist())) == len(set(runs))
    assert shingles(words[1:], n).tolist() == hashes.tolist()[1:]


@settings(max_examples=40, deadline=None)
@given(st.lists(members, min_size=1, max_size=8), st.floats(0.1, 1.0))
def test_what_is_found_is_as_similar_as_was_asked_and_an_equal_set_is_always_found(
    sets: list[set[int]], least: float
) -> None:
    arrays = [np.array(sorted(each), np.uint64) for each in sets]
    alike = Alike(arrays, least)
    for at, own in enumerate(arrays):
        found = alike.nearest(own)
        assert found is not None
        assert found == (sets.index(sets[at]), 1.0)
        other = np.append(own[:-1], own[-1] ^ np.uint64(1))
        near = alike.nearest(other)
        assert near is None or similarity(np.unique(other), arrays[near[0]]) == near[1] >= least


def test_minima_agree_as_often_as_sets_are_similar() -> None:
    rng = np.random.default_rng(7)
    shared, rest = rng.integers(0, 2**63, 300, np.uint64), rng.integers(0, 2**63, 200, np.uint64)
    one, other = np.append(shared, rest[:100]), np.append(shared, rest[100:])
    agreeing = float((signature(one) == signature(other)).mean())
    assert agreeing == pytest.approx(0.6, abs=0.13), "three standard errors of 128 minima"


def test_near_duplicates_are_rarely_missed() -> None:
    assert miss_rate(0.8) < 1e-6
    rng = np.random.default_rng(3)
    sets = [rng.integers(0, 2**63, 40, np.uint64) for _ in range(200)]
    alike = Alike(sets, 0.8)
    changed = [np.append(each[:-3], rng.integers(0, 2**63, 3, np.uint64)) for each in sets]
    found = [alike.nearest(each) for each in changed]
    assert [hit and hit[0] for hit in found] == list(range(200))
    assert words_of("A b-C") == ["a", "b", "c"]
