"""The `vllm` engine of the generator: the one for GPUs, and for CPUs where its build is there."""

import asyncio
import itertools
import logging
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from roundsmith.errors import ConfigError, EngineError, Unavailable, WeightsMismatch
from roundsmith.generator import vllm_adapter
from roundsmith.generator.adapter_folder import copy_adapter
from roundsmith.generator.adapters import Adapters, Loaded
from roundsmith.generator.admission import Admission
from roundsmith.generator.checks import check_drawn, check_followed, check_item, check_length
from roundsmith.generator.merged import merged
from roundsmith.generator.model_info import ModelInfo
from roundsmith.generator.requests import Told
from roundsmith.generator.settings import VllmSettings
from roundsmith.generator.starting import nothing_is_left
from roundsmith.generator.stops import StopStrings, TextAsDrawn
from roundsmith.hashing import derive_seed, weights_sha256
from roundsmith.models.folder import resolve
from roundsmith.models.text import ModelText, load_successor, load_text
from roundsmith.serve.unstopped import Unstopped
from roundsmith.types import Completion, CompletionDelta, GenerateItem, TopLogprobs

logger = logging.getLogger(__name__)
_WATCH_S = 0.2


class VllmEngine:
    """Completions by vLLM's AsyncLLM. All methods belong to the event loop that it is first asked
    in; `await VllmEngine.start(settings)` makes one.

    The n completions of an item are n sequences in vLLM, which share the blocks of their prompt.
    """

    def __init__(
        self, settings: VllmSettings, started: vllm_adapter.Started, text: ModelText
    ) -> None:
        self._settings, self._started, self._text = settings, started, text
        self._llm: Any = started.llm
        self._ranks = (text.folder.weights_sha256,) * settings.tensor_parallel
        self._admission = Admission(settings.slots, settings.max_waiting)
        self._adapters = Adapters(settings.max_adapters)
        self._numbers = itertools.count()
        self._reloading = asyncio.Lock()
        self._changes = Unstopped()
        self._closed: EngineError | None = None
        self._lost: EngineError | None = None
        """Set when the ranks have weights of no known version, and nothing may be drawn."""

    @classmethod
    async def start(cls, settings: VllmSettings) -> "VllmEngine":
        """Loads the model, which takes half a minute. ConfigError when it cannot be served."""

        def begin() -> tuple[vllm_adapter.Started, ModelText]:
            folder = resolve(settings.model, settings.revision, settings.trust_remote_code)
            text = load_text(folder, settings)
            return vllm_adapter.start(settings, text), text

        with nothing_is_left():
            started, text = await asyncio.to_thread(begin)
            engine = cls(settings, started, text)
            try:
                await vllm_adapter.begin(engine._llm, text.folder.weights_sha256)
                await engine._ask_ranks()
            except BaseException:
                await engine.close()
                raise
        return engine

    @property
    def running(self) -> int:
        """Completions being decoded."""
        return self._admission.running

    @property
    def waiting(self) -> int:
        """Completions waiting for a slot."""
        return self._admission.waiting

    async def generate(self, item: GenerateItem) -> AsyncGenerator[Told]:
        """The item's completions, each as it finishes. Closing the iterator aborts them.

        Raises ConfigError for an item that cannot be completed, Overloaded when the queue is full,
        Unavailable when the engine stops.
        """
        if self._closed is not None:
            raise self._closed
        check_item(item, vllm_adapter.CONSTRAINT_KINDS)
        adapter = self._adapters.find(item.adapter)
        prompt = self._text.render(item.prompt)
        check_length(len(prompt), self._text.context_tokens)
        with self._admission.admitted(item.n) as share, self._adapters.using(adapter):
            parts = [self._complete(item, prompt, index, adapter) for index in range(item.n)]
            async with aclosing(parts[0] if item.n == 1 else merged(parts)) as told:
                async for one in told:
                    if isinstance(one, Completion):
                        self._admission.ended(share)
                    yield one

    async def _complete(
        self, item: GenerateItem, prompt: Sequence[int], index: int, adapter: Loaded | None
    ) -> AsyncGenerator[Told]:
        """The completion of one index, after its deltas where the item asks for them."""
        text = self._text
        limit = min(item.sampling.max_tokens, text.context_tokens - len(prompt))
        seed = derive_seed(item.seed, index)
        params = vllm_adapter.parameters(item, seed, limit, text.end_ids)
        name = f"{next(self._numbers)}"
        token_ids: list[int] = []
        logprobs: list[float] = []
        tops: list[TopLogprobs] = []
        told = TextAsDrawn(text.tokenizer, item.sampling.stop)
        parts = vllm_adapter.draw(self._llm, prompt, params, name, adapter)
        async with aclosing(parts):
            async for drawn in parts:
                offset = len(token_ids)
                check_followed(item.sampling.constraint, drawn.logprobs, drawn.ended)
                check_drawn(drawn.logprobs, offset)
                token_ids += drawn.token_ids
                logprobs += drawn.logprobs
                tops += drawn.tops
                if not drawn.ended:
                    new = (tuple(drawn.token_ids), tuple(drawn.logprobs))
                    yield CompletionDelta(index, offset, *new, told.completed(token_ids))
        yield Completion(
            index=index,
            text=StopStrings(text.tokenizer, item.sampling.stop).text(token_ids),
            token_ids=tuple(token_ids),
            logprobs=tuple(logprobs),
            finish_reason=self._reason(drawn),
            prompt_tokens=len(prompt),
            weights_sha256=drawn.version(adapter),
            top_logprobs=tuple(tops),
        )

    def _reason(self, drawn: vllm_adapter.Drawn) -> str:
        if drawn.ended in ("stop", "length"):
            return drawn.ended
        raise self._closed or Unavailable(
            f"vLLM ended a completion with {drawn.ended!r}: send the item again"
        )

    @property
    def vocabulary(self) -> int:
        """Token ids run below it."""
        return self._text.vocabulary

    def directly(
        self, name: str, prompt: Sequence[int], most: int, *, deltas: bool
    ) -> AsyncGenerator[Any]:
        """vLLM's own outputs of a greedy completion, past the service, for the bench."""
        return vllm_adapter.plainly(self._llm, name, prompt, most, deltas=deltas)

    async def reload(self, folder: Path, sha256: str) -> None:
        """Serve the weights of `folder`, whose weight version must be `sha256`; idempotent.

        What runs ends on the old weights, what waits starts on the new ones. Raises ConfigError or
        WeightsMismatch for a folder that is not what it should be; the old weights go on serving
        then. A caller that gives up does not stop it, nor a change of adapters: between two
        versions the ranks would have neither.
        """
        await self._changes.to_its_end(self._reload(folder, sha256))

    async def _reload(self, folder: Path, sha256: str) -> None:
        async with self._reloading:
            served = self._text
            if sha256 == served.folder.weights_sha256:
                return
            text = await asyncio.to_thread(load_successor, folder, sha256, served, self._settings)
            await asyncio.to_thread(self._adapters.refuse_lost)
            await self._llm.pause_generation(mode="wait", clear_cache=True)
            try:
                await self._swap(text, served)
            finally:
                if self._lost is None:
                    await self._llm.resume_generation()
            logger.info("the generator serves weights %s", sha256[:12])

    async def _swap(self, text: ModelText, served: ModelText) -> None:
        try:
            await vllm_adapter.load(self._llm, text.folder.path, text.folder.weights_sha256)
            self._text = text
        except ConfigError:
            await self._restore(served)
            raise
        finally:
            if self._lost is None:
                await self._llm.reset_prefix_cache()
                await self._ask_ranks()
                await self._add_adapters()  # new weights let go of them

    async def _add_adapters(self) -> None:
        """EngineError, and the end of the engine, where one does not load."""
        for adapter in self._adapters.all():
            try:
                await self._llm.add_lora(vllm_adapter.lora_request(adapter))
            except Exception as error:  # vLLM tells what a rank raised as a plain Exception
                self._lost = EngineError(
                    f"adapter {adapter.name!r} does not load on new weights ({error}): the process "
                    "ends; start it again, and it loads what is recorded"
                )
                raise self._lost from error

    async def _restore(self, served: ModelText) -> None:
        """The weights that were served; EngineError, and the end of the engine, where they do not
        load any more: the ranks have some of those that are no good.
        """
        old = served.folder
        try:
            if await asyncio.to_thread(weights_sha256, old.path) != old.weights_sha256:
                raise ConfigError(f"{old.path}: its files are others now")
            await vllm_adapter.load(self._llm, old.path, old.weights_sha256)
        except ConfigError as error:
            self._lost = EngineError(
                f"the weights that were served do not load again ({error}), and those that were to "
                "follow are no good: the process ends; start it with a whole checkpoint"
            )
            raise self._lost from error

    async def _ask_ranks(self) -> None:
        self._ranks = tuple(await self._llm.collective_rpc("roundsmith_served"))

    async def load_adapter(self, name: str, folder: Path, sha256: str) -> None:
        """Serve an adapter under a name; what draws with another version of it ends on that."""
        await self._changes.to_its_end(self._load_adapter(name, folder, sha256))

    async def _load_adapter(self, name: str, folder: Path, sha256: str) -> None:
        async with self._reloading:
            before = self._adapters.named(name)
            adding = self._adapters.adding(name, folder, sha256, self._text.folder.path)
            async with adding as adapter:
                if adapter is None:
                    return
                adapter.folder = Path(self._started.scratch.name, f"adapter-{adapter.number}")
                try:
                    await asyncio.to_thread(copy_adapter, folder, adapter.folder, sha256)
                    await self._llm.add_lora(vllm_adapter.lora_request(adapter))
                except Exception as error:  # vLLM tells what a rank raised as a plain Exception
                    shutil.rmtree(adapter.folder, ignore_errors=True)
                    if isinstance(error, WeightsMismatch):
                        raise
                    raise ConfigError(
                        f"{folder}: the adapter does not load ({error}): expected a LoRA of the "
                        f"served model, of rank {self._settings.max_adapter_rank} at most"
                    ) from error
            if before is not None:
                await self._forget(before)

    async def unload_adapter(self, name: str) -> None:
        """Take an adapter away, when nothing draws with it."""
        await self._changes.to_its_end(self._unload_adapter(name))

    async def _unload_adapter(self, name: str) -> None:
        async with self._reloading:
            if (gone := self._adapters.remove(name)) is not None:
                await self._forget(gone)

    async def _forget(self, adapter: Loaded) -> None:
        await adapter.left()
        await self._llm.remove_lora(adapter.number)
        await asyncio.to_thread(shutil.rmtree, adapter.folder, ignore_errors=True)

    def describe(self) -> ModelInfo:
        """What is served now."""
        text = self._text
        return ModelInfo(
            model=self._settings.model,
            weights_sha256=text.folder.weights_sha256,
            engine="vllm",
            context_tokens=text.context_tokens,
            slots=self._settings.slots,
            reproducible=self._started.batch_invariant,
            has_chat_template=text.has_chat_template,
            constraint_kinds=vllm_adapter.CONSTRAINT_KINDS,
            adapters=self._adapters.describe(text.folder.weights_sha256),
            rank_weights_sha256=self._ranks,
            dtype=self._started.dtype,
        )

    async def failed(self) -> EngineError:
        """Returns when the engine's processes are dead or have no weights, with what to tell."""
        while self._closed is not None or not (self._lost or self._llm.errored):
            await asyncio.sleep(_WATCH_S)
        return self._lost or EngineError("the vLLM engine died: see its log; the process ends")

    async def close(self) -> None:
        """End the engine's processes; what runs or waits is answered with Unavailable."""
        self._closed = Unavailable(
            "the generator is shutting down: send the request to another replica"
        )
        llm, self._llm = self._llm, None
        await asyncio.to_thread(vllm_adapter.shut_down, llm)
        self._started.scratch.cleanup()
