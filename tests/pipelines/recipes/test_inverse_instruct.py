"""Inverse-Instruct's snippets, prompts and choice, and the order of its stages."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from roundsmith.recipes.inverse_instruct import (
    OPENERS,
    InverseInstruct,
    InverseInstructConfig,
)
from roundsmith.recipes.judged import snippet
from roundsmith.recipes.snippets import code_of, first_code_block, language_of
from roundsmith.recipes.styles import ChatStyle, CompletionStyle, Demonstration, empty_group
from roundsmith.steps.banned import Banned
from roundsmith.types import ChatMessage, Example, Group, Kind, Sample, Score, Split, Task
from tests.pipelines.recipes.groups import TASK, code

DEMO = Demonstration("def solve(x):\n    return 1\n", "return one")
CORPUS = Task(
    task_id="corpus.jsonl/1",
    split=Split.TRAIN,
    description="Write the identity.",
    head="",
    entry_point="",
    tests=(),
    reference="Sure.\n```python\ndef f(x):\n    return x\n```\nDone.",
)
BLOCK = "```python\ndef f(x):\n    return x\n```"


@pytest.mark.parametrize(
    ("answer", "block"),
    [
        (CORPUS.reference, BLOCK),
        ("def f(x):\n    return x\n", BLOCK),  # no fence, and it parses
        ("It returns x.", None),  # no fence, and it does not
        ("", None),
        ("```python\ndef f(x):\n    return x\n", BLOCK),  # never closed
        ("```java\nint x;\n```\nand a test:\n```java\nassert x;\n```", "```java\nint x;\n```"),
        ("```\nanything at all\n```", "```\nanything at all\n```"),  # not checked when fenced
        ("```python\n```", None),
        ("````python\nx = 1\n````", "```python\nx = 1\n```"),
    ],
)
def test_the_snippet_is_the_first_block_by_the_released_rule(
    answer: str, block: str | None
) -> None:
    assert first_code_block(answer) == block


def test_a_block_tells_its_language_and_its_code() -> None:
    assert language_of(BLOCK) == "python"
    assert language_of("```\nx\n```") == ""
    assert code_of(BLOCK) == "def f(x):\n    return x"


def said(name: str, text: str, k: int) -> Sample:
    """A self-made instruction."""
    return replace(code(name, k), kind=Kind.DESCRIPTION, text=text, completion=text)


def scored(task: Task, *p_yes: float) -> Group:
    samples = tuple(said(f"d{k}", f"instruction {k}", k) for k in range(len(p_yes)))
    scores = {f"d{k}": Score(0.0, 0, "w" * 64, p) for k, p in enumerate(p_yes)}
    return Group(task, samples, (), scores)


def chosen(group: Group, seed: int = 0, **config: Any) -> list[Example]:
    rows = InverseInstruct(InverseInstructConfig(**config)).select(group, Random(seed))
    assert all(isinstance(row, Example) for row in rows)
    return [row for row in rows if isinstance(row, Example)]


def test_the_instruction_with_the_highest_p_yes_is_kept_the_earliest_of_equals() -> None:
    gold, best = chosen(scored(TASK, 0.4, 0.7, 0.7, 0.1))
    assert gold.provenance.parents == ()
    assert best.provenance.parents == ("d1",)
    assert best.prompt == CompletionStyle().code(TASK, "instruction 1")
    assert best.completion == gold.completion == "    return 2 * x"


def test_a_row_of_a_corpus_is_paired_with_its_code_alone_and_gold_with_the_whole_answer() -> None:
    gold, best = chosen(scored(CORPUS, 0.2, 0.9))
    assert best.completion == BLOCK
    assert gold.completion == CORPUS.reference
    assert "instruction 1" in str(best.prompt)
    assert "Write the identity." in str(gold.prompt)


def test_the_kept_ones_and_the_other_ways_to_choose() -> None:
    group = scored(TASK, 0.4, 0.7, 0.9)
    parents = [row.provenance.parents for row in chosen(group, kept=2)]
    assert parents == [(), ("d2",), ("d1",)]
    assert len({chosen(group, seed, choose="random")[1].example_id for seed in range(30)}) == 3
    likely = {f"d{k}": Score(-1.0 * k, 1, "w" * 64) for k in range(3)}
    told = replace(group, scores=likely)
    assert chosen(told, choose="low_perplexity")[1].provenance.parents == ("d0",)
    assert chosen(told, choose="high_perplexity")[1].provenance.parents == ("d2",)


def test_an_answer_without_code_gives_its_own_pair_alone() -> None:
    prose = replace(CORPUS, reference="There is no code here.")
    assert snippet(prose) is None
    (gold,) = chosen(Group(prose, ()))
    assert gold.completion == "There is no code here."
    (gold,) = chosen(empty_group(prose, ChatStyle()))
    assert gold.prompt == (ChatMessage("user", "Write the identity."),)
    (gold,) = chosen(empty_group(prose, CompletionStyle()))
    assert gold.prompt == CompletionStyle().code(prose, prose.description)


def test_what_is_asked_of_the_scorer_is_the_released_question() -> None:
    group = scored(CORPUS, 0.5)
    item = InverseInstruct(InverseInstructConfig()).question(group.samples[0], group)
    assert (item.p_yes, item.p_yes_top_k) == (True, 5)
    assert str(item.prompt).endswith("Begin with Yes or No.\n\n@@ Response\n")
    assert "instruction 0" in str(item.prompt)
    assert BLOCK in str(item.prompt)
    config = InverseInstructConfig(choose="low_perplexity")
    item = InverseInstruct(config).question(group.samples[0], group)
    assert (item.p_yes, item.completion) == (False, BLOCK)


def test_the_openers_begin_the_answer_in_either_style() -> None:
    assert len(OPENERS) == 7
    plain = CompletionStyle().problem(CORPUS, BLOCK, "Write a python", lambda: DEMO)
    assert str(plain).endswith("@@ Response\nWrite a python")
    assert BLOCK in str(plain)
    chat = ChatStyle().problem(CORPUS, BLOCK, "Write a python", lambda: DEMO)
    assert isinstance(chat[-1], ChatMessage)
    assert chat[-1] == ChatMessage("assistant", "Write a python")
    lab = CompletionStyle().problem(TASK, BLOCK, "", lambda: DEMO)
    assert str(lab).endswith("### Description of the given code\n")
    assert "return one" in str(lab)


def test_the_weak_data_come_first_and_the_other_order_can_be_asked_for() -> None:
    first, second = InverseInstruct(InverseInstructConfig()).stages()
    assert (first.part, first.epochs) == ("selected", 1)
    assert (second.part, second.epochs) == ("gold", 2)
    config = InverseInstruct.from_config({"training": {"order": "corpus_first"}})
    assert [stage.part for stage in config.stages()] == ["gold", "selected"]
    (writer,) = config.writer_stages()
    assert (writer.part, writer.epochs) == ("gold", 2)


def test_the_defaults_are_the_papers() -> None:
    cfg = InverseInstructConfig()
    assert (cfg.candidates, cfg.temperature, cfg.max_tokens, cfg.kept) == (10, 0.8, 2048, 1)
    tuning = cfg.training
    assert (tuning.optimizer, tuning.learning_rate, tuning.warmup_steps) == ("adafactor", 5e-5, 15)
    assert (tuning.batch_size, tuning.max_length, tuning.max_grad_norm) == (512, 1024, 0)
    assert (tuning.warmup_start_ratio, tuning.weight_decay) == (0, 0)


def test_a_row_that_holds_a_held_out_text_is_banned_whatever_its_case() -> None:
    held = replace(TASK, description="Double the number and then halve it again.")
    banned = Banned.of([held])
    rows = chosen(scored(TASK, 0.1))
    assert not any(banned.held_by(row) for row in rows), "`return 2 * x` is too short to tell"
    worded = replace(rows[1], prompt=f"x {held.description.upper()} y")
    assert banned.held_by(worded)
    long = "x = sorted(x)\n    return x[::-1]"
    banned = Banned.of([replace(TASK, reference=f"{TASK.head}\n    {long}\n")])
    assert banned.held_by(replace(rows[1], completion=f"    a = 1\n    {long}"))
    assert Banned().held_by(worded) is None
