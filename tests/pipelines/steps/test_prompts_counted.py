"""What prompts cost: a prompt is read once for all that is drawn from it together, and counts as
scored where a judgement reads it.
"""

from dataclasses import replace

from roundsmith.recipes.gift import Gift, GiftConfig
from roundsmith.reproduce.steps import tokens_of
from roundsmith.steps import evaluate, sample
from roundsmith.steps.spent import spent_on
from roundsmith.store import Manifest
from roundsmith.types import Score
from tests.pipelines.recipes.groups import TASK, code, group, passes


def test_a_prompt_of_several_samples_counts_once() -> None:
    drawn = (code("a", 0), replace(code("b", 0), index=1), code("c", 1))
    recipe = Gift(GiftConfig())
    one = group(drawn, passes(*drawn))
    assert sample._count([one], recipe)["prompt_tokens"] == 9 + 9, "of two steps, nine tokens each"
    assert sample._count([one, one], recipe)["prompt_tokens"] == 36, "each task has its own"


def test_a_judgement_counts_the_prompt_that_it_reads_and_one_answer() -> None:
    drawn = (code("a", 0), code("b", 1), code("c", 2))
    scores = {name: Score(0.0, 0, "w", 0.5, prompt_tokens=n) for name, n in (("a", 80), ("b", 90))}
    scores["c"] = Score(-3.0, 7, "w", prompt_tokens=85)
    one = replace(group(drawn, passes(*drawn)), scores=scores)
    counted = sample._count_scored([one], Gift(GiftConfig()))
    assert counted["scored_tokens"] == (80 + 1) + (90 + 1) + 7
    scored = Manifest("score", "0" * 64, stats=counted)
    assert tokens_of(scored) == spent_on(scored).scored_tokens == 179


def test_a_task_that_is_judged_by_many_samples_has_one_prompt() -> None:
    records = [
        evaluate._record(task, replace(code(name, 0), index=at), passes(code(name, 0)), set())
        for task in (TASK, replace(TASK, task_id="other"))
        for at, name in enumerate("abc")
    ]
    counts = evaluate._count(records)
    assert (counts["prompt_tokens"], counts["sampled_tokens"]) == (2 * 9, 6 * 4)
