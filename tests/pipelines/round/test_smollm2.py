"""A real pretrained chat model: loaded, asked in chat style, cut at its end, and scored."""

import asyncio
from pathlib import Path

import pytest

from roundsmith.benchmarks.load import load_tasks
from roundsmith.generator.engine import TransformersEngine
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.recipes.styles import style_of
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import Completion, GenerateItem, Sampling, ScoreItem

pytestmark = pytest.mark.slow
MBPP = Path(__file__).parents[2] / "data" / "sanitized-mbpp.json.gz"


def test_a_pretrained_chat_model_writes_programs_that_score_as_they_were_drawn(
    smollm2: Path,
) -> None:
    folder = str(smollm2)
    task = load_tasks(str(MBPP)).tasks[0]

    async def draw() -> tuple[list[Completion], bool]:
        engine = TransformersEngine(GeneratorSettings(model=folder, dtype="float32", slots=2))
        try:
            chat = engine.describe().has_chat_template
            style = style_of("auto", chat)
            sampling = Sampling(48, 0.0, stop=style.code_stops)
            prompt = style.code(task, task.description)
            item = GenerateItem("a", prompt, sampling, 1, 2)
            told = [c async for c in engine.generate(item)]
            return [c for c in told if isinstance(c, Completion)], chat
        finally:
            await engine.close()

    completions, chat = asyncio.run(draw())
    assert chat
    assert completions[0].token_ids == completions[1].token_ids
    style = style_of("chat", True)
    program = style.program(task, task.description, completions[0].text)
    assert program.startswith(task.head)
    assert "```" not in program

    async def score() -> float:
        scorer = TransformersScorer(ScorerSettings(model=folder, dtype="float32"))
        try:
            prompt = style.code(task, task.description)
            ids = completions[0].token_ids
            found = await scorer.score(ScoreItem("a", prompt, ids, end=False))
            return found.logprob_sum
        finally:
            scorer.close()

    assert asyncio.run(score()) == pytest.approx(sum(completions[0].logprobs), abs=1e-2)
