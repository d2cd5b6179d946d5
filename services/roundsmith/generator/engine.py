"""The `transformers` engine of the generator, as asyncio sees it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from roundsmith.errors import ConfigError
from roundsmith.generator.sampling import check_sampling
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.types import Completion, GenerateItem


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is served; the fields of GetModelResponse."""

    model: str
    weights_sha256: str
    engine: str
    context_tokens: int
    slots: int
    reproducible: bool
    has_chat_template: bool


class TransformersEngine:
    """Completions by a Hugging Face model, continuously batched in a thread of its own.

    A sample is the same whatever it was batched with, for the same settings, torch and kind of CPU;
    on a GPU that is not promised, and `describe` says so.
    """

    def __init__(self, settings: GeneratorSettings) -> None:
        """Loads the model, which may take long. ConfigError when it cannot be served."""
        from roundsmith.generator.scheduler import Scheduler
        from roundsmith.models.loading import load

        self._settings = settings
        loaded = load(settings)
        self.commit = loaded.folder.commit
        """What a hub id was resolved to; empty for a folder."""
        self._scheduler = Scheduler(loaded, settings)
        self._reloading = asyncio.Lock()

    @property
    def running(self) -> int:
        """Completions being decoded."""
        return self._scheduler.running

    @property
    def waiting(self) -> int:
        """Completions waiting for a slot."""
        return self._scheduler.waiting

    async def generate(self, item: GenerateItem) -> AsyncIterator[Completion]:
        """The item's completions, each as it finishes. Closing the iterator frees their slots.

        Raises ConfigError for an item that cannot be completed, Overloaded when the queue is full,
        Unavailable when the engine stops.
        """
        from roundsmith.generator.requests import Request

        if item.n < 1:
            raise ConfigError(f"n: saw {item.n}, expected at least 1")
        if not 0 <= item.seed < 2**63:
            raise ConfigError(f"seed: saw {item.seed}, expected one in [0, 2^63)")
        check_sampling(item.sampling)
        finished: asyncio.Queue[Completion | Exception] = asyncio.Queue()
        request = Request(item, partial(_hand_over, asyncio.get_running_loop(), finished))
        self._scheduler.submit(request, item.n)
        try:
            for _ in range(item.n):
                completion = await finished.get()
                if isinstance(completion, Exception):
                    raise completion
                yield completion
        finally:
            self._scheduler.cancel(request)

    async def reload(self, folder: Path, sha256: str) -> None:
        """Serve the weights of `folder`, whose weight version must be `sha256`; idempotent.

        What runs ends on the old weights, what waits starts on the new ones. Raises ConfigError or
        WeightsMismatch for a folder that is not what it should be; the old weights go on serving
        then.
        """
        from roundsmith.models.loading import load_checked

        async with self._reloading:
            if sha256 == self._scheduler.loaded.weights_sha256:
                return
            loaded = await asyncio.to_thread(load_checked, folder, sha256, self._settings)
            await asyncio.wrap_future(self._scheduler.swap(loaded))

    def describe(self) -> ModelInfo:
        """What is served now."""
        loaded = self._scheduler.loaded
        return ModelInfo(
            model=self._settings.model,
            weights_sha256=loaded.weights_sha256,
            engine="transformers",
            context_tokens=loaded.context_tokens,
            slots=self._settings.slots,
            reproducible=loaded.device.type == "cpu",
            has_chat_template=loaded.has_chat_template,
        )

    def close(self) -> None:
        """Stop the thread; what runs or waits is answered with Unavailable."""
        self._scheduler.close()


def _hand_over(
    loop: asyncio.AbstractEventLoop,
    finished: "asyncio.Queue[Completion | Exception]",
    completion: Completion | Exception,
) -> None:
    if not loop.is_closed():  # a caller whose loop is gone wants nothing any more
        loop.call_soon_threadsafe(finished.put_nowait, completion)
