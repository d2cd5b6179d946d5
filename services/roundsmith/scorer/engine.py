"""The scorer, as asyncio sees it."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from roundsmith import tracing
from roundsmith.config import repeat_sums
from roundsmith.errors import RoundsmithError
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import Score, ScoreItem

if TYPE_CHECKING:
    from roundsmith.scorer.metrics import ScorerMetrics


@dataclass(frozen=True, slots=True)
class ScorerInfo:
    """What scores."""

    model: str
    weights_sha256: str
    context_tokens: int


class TransformersScorer:
    """Scores by a Hugging Face model, packed in a thread of its own.

    The number is bitwise the same for the same text, whatever else is scored, for the same
    settings, torch and kind of CPU.
    """

    def __init__(self, settings: ScorerSettings) -> None:
        """Loads the model, which may take long. ConfigError when it cannot score."""
        from roundsmith.models.loading import load
        from roundsmith.scorer.worker import Worker

        repeat_sums()
        self._settings = settings
        loaded = load(settings)
        self.commit = loaded.folder.commit
        """What a hub id was resolved to; empty for a folder."""
        self._worker = Worker(loaded, settings)
        self._reloading = asyncio.Lock()

    @property
    def metrics(self) -> "ScorerMetrics":
        """What Prometheus is told."""
        return self._worker.metrics

    @property
    def shares_prompts(self) -> bool:
        """Whether a prompt is computed once for all its completions."""
        return self._worker.shares_prompts

    @property
    def waiting(self) -> int:
        """Items that wait for a forward pass."""
        return self._worker.waiting

    async def score(self, item: ScoreItem) -> Score:
        """The item's score; `p_yes` is exp(z_yes) / (exp(z_yes) + exp(z_no)) after the prompt,
        with `p_yes_top_k` as InverseCoder's release reads it.

        Raises ConfigError for an item that cannot be scored, Overloaded when the queue is full,
        Unavailable when the scorer stops.
        """
        from roundsmith.scorer.packing import Waiting

        waiting = Waiting(item)
        self._worker.submit(waiting)
        score = await asyncio.wrap_future(waiting.answer)
        ended = time.monotonic()
        tracing.told("scorer.queue", waiting.since, waiting.begun)
        tokens = {"roundsmith.scored_tokens": score.scored_tokens}
        tracing.told("scorer.forward", waiting.begun, ended, tokens)
        return score

    async def reload(self, folder: Path, sha256: str) -> None:
        """Score with the weights of `folder`, whose weight version must be `sha256`; idempotent.

        Raises ConfigError or WeightsMismatch for a folder that is not what it should be, or differs
        from what is served in more than numbers; the old weights go on scoring then.
        """
        from roundsmith.models.loading import load_checked
        from roundsmith.models.text import refuse_other_model

        async with self._reloading:
            before = self._worker.loaded
            if sha256 == before.weights_sha256:
                return
            loaded = await asyncio.to_thread(load_checked, folder, sha256, self._settings)
            await asyncio.to_thread(refuse_other_model, folder, before, loaded)
            await asyncio.wrap_future(await asyncio.to_thread(self._worker.swap, loaded))

    def describe(self) -> ScorerInfo:
        """What scores now."""
        loaded = self._worker.loaded
        return ScorerInfo(self._settings.model, loaded.weights_sha256, loaded.context_tokens)

    async def failed(self) -> RoundsmithError:
        """Returns when the thread has failed, with what to tell."""
        return await asyncio.shield(asyncio.wrap_future(self._worker.failed))

    def close(self) -> None:
        """Stop the thread; what waits is answered with Unavailable."""
        self._worker.close()
