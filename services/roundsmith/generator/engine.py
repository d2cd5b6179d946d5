"""The `transformers` engine of the generator, as asyncio sees it."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from roundsmith.config import repeat_sums
from roundsmith.errors import RoundsmithError
from roundsmith.generator.adapters import Adapters
from roundsmith.generator.checks import check_item
from roundsmith.generator.model_info import ModelInfo
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.types import Completion, GenerateItem

if TYPE_CHECKING:
    from roundsmith.generator.lora import Lora
    from roundsmith.generator.requests import Told
    from roundsmith.models.loading import LoadedModel


class TransformersEngine:
    """Completions by a Hugging Face model, continuously batched in a thread of its own.

    A sample is the same whatever it was batched with, for the same settings, torch and kind of CPU.
    That is tried when the model is loaded, and `describe` says whether it holds; on a GPU it is not
    promised.
    """

    def __init__(self, settings: GeneratorSettings, loaded: "LoadedModel | None" = None) -> None:
        """Loads the model unless it is given, which may take long. ConfigError when it cannot be
        served.
        """
        from roundsmith.generator.attention_choice import choose_attention
        from roundsmith.generator.scheduler import Scheduler
        from roundsmith.models.loading import load

        repeat_sums()
        self._settings = settings
        loaded = loaded or load(settings)
        self.commit = loaded.folder.commit
        """What a hub id was resolved to; empty for a folder."""
        choose_attention(loaded, settings)
        self._reproducible = self._repeats(loaded)
        self._scheduler = Scheduler(loaded, settings)
        self._reloading = asyncio.Lock()
        self._adapters = Adapters(settings.max_adapters)
        self._loras: dict[int, Lora] = {}

    @property
    def running(self) -> int:
        """Completions being decoded."""
        return self._scheduler.running

    @property
    def waiting(self) -> int:
        """Completions waiting for a slot."""
        return self._scheduler.waiting

    async def generate(self, item: GenerateItem) -> AsyncGenerator["Told"]:
        """The item's completions, each as it finishes, and deltas where it asks for them. Closing
        the iterator frees their slots.

        Raises ConfigError for an item that cannot be completed, Overloaded when the queue is full,
        Unavailable when the engine stops.
        """
        from roundsmith.generator.requests import Request

        check_item(item, ())
        adapter = self._adapters.find(item.adapter)
        answers: asyncio.Queue[Told | Exception] = asyncio.Queue()
        deliver = partial(_hand_over, asyncio.get_running_loop(), answers)
        request = Request(item, deliver)
        if adapter is not None:
            request.lora, request.adapter_sha256 = self._loras[adapter.number], adapter.sha256
        self._scheduler.submit(request, item.n)
        try:
            left = item.n
            while left:
                told = await answers.get()
                if isinstance(told, Exception):
                    raise told
                left -= isinstance(told, Completion)
                yield told
        finally:
            self._scheduler.cancel(request)

    async def reload(self, folder: Path, sha256: str) -> None:
        """Serve the weights of `folder`, whose weight version must be `sha256`; idempotent.

        What runs ends on the old weights, what waits starts on the new ones. Raises ConfigError or
        WeightsMismatch for a folder that is not what it should be; the old weights go on serving
        then.
        """
        from roundsmith.generator.attention_choice import attend_like
        from roundsmith.models.loading import load_checked
        from roundsmith.models.text import refuse_other_model

        async with self._reloading:
            if sha256 == self._scheduler.loaded.weights_sha256:
                return
            loaded = await asyncio.to_thread(load_checked, folder, sha256, self._settings)
            before = self._scheduler.loaded
            await asyncio.to_thread(refuse_other_model, folder, before, loaded)
            attend_like(loaded, before)
            await asyncio.wrap_future(self._scheduler.swap(loaded))

    async def load_adapter(self, name: str, folder: Path, sha256: str) -> None:
        """Serve an adapter under a name; what draws with another version of it ends on that.

        Raises ConfigError or WeightsMismatch for a folder that is not what it should be.
        """
        from roundsmith.generator.lora import load_lora

        async with self._reloading:
            before, loaded = self._adapters.named(name), self._scheduler.loaded
            adding = self._adapters.adding(name, folder, sha256, loaded.folder.path)
            async with adding as adapter:
                if adapter is None:
                    return
                lora = await asyncio.to_thread(load_lora, folder, loaded.model)
                self._loras[adapter.number] = lora
            if before is not None:
                del self._loras[before.number]

    async def unload_adapter(self, name: str) -> None:
        """Take an adapter away; what draws with it goes on to its end."""
        async with self._reloading:
            if (gone := self._adapters.remove(name)) is not None:
                del self._loras[gone.number]

    async def failed(self) -> RoundsmithError:
        """Returns when the thread has failed, with what to tell."""
        return await asyncio.shield(asyncio.wrap_future(self._scheduler.failed))

    def describe(self) -> ModelInfo:
        """What is served now."""
        loaded = self._scheduler.loaded
        return ModelInfo(
            model=self._settings.model,
            weights_sha256=loaded.weights_sha256,
            engine="transformers",
            context_tokens=loaded.context_tokens,
            slots=self._settings.slots,
            reproducible=self._reproducible,
            has_chat_template=loaded.has_chat_template,
            constraint_kinds=(),
            adapters=self._adapters.describe(loaded.weights_sha256),
            rank_weights_sha256=(loaded.weights_sha256,),
            dtype=str(loaded.model.dtype).removeprefix("torch."),
        )

    def _repeats(self, loaded: "LoadedModel") -> bool:
        from roundsmith.generator.company import same_in_company

        return loaded.device.type == "cpu" and same_in_company(loaded, self._settings)

    async def close(self) -> None:
        """Stop the thread; what runs or waits is answered with Unavailable."""
        await asyncio.to_thread(self._scheduler.close)


def _hand_over(
    loop: asyncio.AbstractEventLoop,
    answers: "asyncio.Queue[Told | Exception]",
    told: "Told | Exception",
) -> None:
    if not loop.is_closed():  # a caller whose loop is gone wants nothing any more
        loop.call_soon_threadsafe(answers.put_nowait, told)
