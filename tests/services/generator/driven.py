"""An engine in an event loop of its own, as a server has one, for tests that are functions."""

import asyncio
import importlib.util
import os
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import pytest

from roundsmith.generator.service import GeneratorEngine
from roundsmith.generator.settings import GeneratorSettings, VllmSettings
from roundsmith.generator.start import start_engine
from roundsmith.types import Completion, CompletionDelta, GenerateItem

T = TypeVar("T")
ENGINES = ("transformers", pytest.param("vllm", marks=pytest.mark.vllm))


def need(engine: str) -> None:
    """Skips the test where the engine is not installed, unless VLLM_REQUIRED says that it is."""
    if engine == "vllm" and importlib.util.find_spec("vllm") is None:
        reason = "vLLM has an environment of its own: make test-vllm"
        assert "VLLM_REQUIRED" not in os.environ, reason
        pytest.skip(reason)


def settings_of(engine: str, model: str, **settings: Any) -> GeneratorSettings | VllmSettings:
    """The settings of an engine; those that only one has are left out for the other."""
    cls = VllmSettings if engine == "vllm" else GeneratorSettings
    return cls(model=model, **{n: v for n, v in settings.items() if n in cls.model_fields})


class Driven:
    """The engine and its loop."""

    def __init__(self, settings: GeneratorSettings | VllmSettings) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.engine: GeneratorEngine = self.run(start_engine(settings))

    def run(self, work: Coroutine[Any, Any, T], within_s: float = 300.0) -> T:
        """The result of something done in the engine's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(within_s)

    async def collect(self, item: GenerateItem) -> list[Completion]:
        """All completions of an item, by index."""
        told = [one async for one in self.engine.generate(item)]
        found = [one for one in told if isinstance(one, Completion)]
        return sorted(found, key=lambda completion: completion.index)

    async def told(self, item: GenerateItem) -> list[Completion | CompletionDelta]:
        """All that the engine tells of an item."""
        return [one async for one in self.engine.generate(item)]

    def ask(self, items: Sequence[GenerateItem]) -> list[list[Completion]]:
        """Items asked at once, answered in their order, completions by index."""

        async def ask_all() -> list[list[Completion]]:
            return list(await asyncio.gather(*map(self.collect, items)))

        return self.run(ask_all())

    async def idle(self) -> None:
        """Returns when no completion runs or waits, by vLLM's own count too where that is the
        engine; fails after five minutes.
        """
        async with asyncio.timeout(300):
            while self.engine.running or self.engine.waiting:
                await asyncio.sleep(0.002)
        if (llm := getattr(self.engine, "_llm", None)) is not None:
            assert llm.get_num_unfinished_requests() == 0, "vLLM draws for nobody"

    def close(self) -> None:
        """Ends both."""
        self.run(self.engine.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
