"""Regeneration: codes for the corpus's own instructions, the best of them by P(yes): what
Inverse-Instruct's Table 6 compares with (Wu et al., AAAI 2025, arXiv 2407.05700).
"""

from collections.abc import Sequence
from random import Random

from roundsmith.recipes import judged
from roundsmith.recipes.contract import gold_rows, made_example
from roundsmith.recipes.inverse_instruct import InverseInstruct
from roundsmith.recipes.session import Session
from roundsmith.recipes.styles import style_of_group, whole_answer
from roundsmith.types import Group, Row, Sample, Sampling, ScoreItem, Task


class Regenerate(InverseInstruct):
    """Text to code in the place of code to text; writer, judging, number of candidates and training
    are Inverse-Instruct's, and so are its departures. Without a code head an answer ends where the
    model ends it, as released, and is judged and trained on whole.
    """

    name = "regenerate"

    @property
    def demonstrates(self) -> bool:
        """A code is asked for by its own instruction."""
        return False

    async def sample(self, task: Task, session: Session) -> Group:
        """K codes for the instruction; nothing is run."""
        cfg = self.config
        sampling = Sampling(
            cfg.max_tokens,
            cfg.temperature,
            repetition_penalty=cfg.repetition_penalty,
            stop=session.style.code_stops if task.head else (),
        )
        codes = await session.write_codes(
            task, task.description, sampling, step=0, n=cfg.candidates
        )
        return Group(task, codes)

    def question(self, sample: Sample, group: Group) -> ScoreItem:
        """P(yes) that the code answers the instruction, or the code's perplexity under it."""
        cfg, asked, answer = self.config, group.task.description, _answer(sample, group.task)
        return judged.question(sample, group, asked, answer, cfg.choose, cfg.p_yes_top_k)

    def select(self, group: Group, random: Random) -> Sequence[Row]:
        """The corpus's own pair, and the instruction with its best codes."""
        prompt = style_of_group(group).code(group.task, group.task.description)
        best = [
            made_example(prompt, _answer(sample, group.task), group, sample)
            for sample in judged.best(group, self.config.choose, self.config.kept, random)
        ]
        return [*gold_rows(group, self.name), *best]


def _answer(sample: Sample, task: Task) -> str:
    """A body with what closes it, or what was written, which has its fences."""
    return whole_answer(sample) if task.head else sample.completion.rstrip()


RECIPE = Regenerate
