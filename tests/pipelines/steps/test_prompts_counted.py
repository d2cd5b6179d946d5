"""What prompts cost: a prompt is read once for all that is drawn from it together."""

from dataclasses import replace

from roundsmith.recipes.gift import Gift, GiftConfig
from roundsmith.steps import evaluate, sample
from tests.pipelines.recipes.groups import TASK, code, group, passes


def test_a_prompt_of_several_samples_counts_once() -> None:
    drawn = (code("a", 0), replace(code("b", 0), index=1), code("c", 1))
    recipe = Gift(GiftConfig())
    one = group(drawn, passes(*drawn))
    assert sample._count([one], recipe)["prompt_tokens"] == 9 + 9, "of two steps, nine tokens each"
    assert sample._count([one, one], recipe)["prompt_tokens"] == 36, "each task has its own"


def test_a_task_that_is_judged_by_many_samples_has_one_prompt() -> None:
    records = [
        evaluate._record(task, replace(code(name, 0), index=at), passes(code(name, 0)), set())
        for task in (TASK, replace(TASK, task_id="other"))
        for at, name in enumerate("abc")
    ]
    counts = evaluate._count(records)
    assert (counts["prompt_tokens"], counts["sampled_tokens"]) == (2 * 9, 6 * 4)
