"""What the paper's release draws with: `generate` of transformers, in static batches that run until
their longest completion has ended, and cut at the stop strings afterwards.
"""

import asyncio
from collections.abc import Sequence
from itertools import chain

from roundsmith.generator.bench import draw_together
from roundsmith.generator.settings import GeneratorSettings
from roundsmith.generator.stops import StopStrings
from roundsmith.models.loading import LoadedModel, load, use_threads
from roundsmith.types import Completion, GenerateItem

_GATHER_S = 0.05
"""How long requests are waited for that belong to the same phase."""
Waiting = tuple[GenerateItem, asyncio.Future[list[Completion]]]


class StaticBatches:
    """Stands in for the generator's client: what is asked for in one phase is drawn together, in
    batches as large as the engine's slots, or each prompt for itself, by as many threads.
    """

    def __init__(self, settings: GeneratorSettings, prompt_by_prompt: bool = False) -> None:
        self._settings, self._loaded = settings, load(settings)
        self._prompt_by_prompt = prompt_by_prompt
        self._waiting: list[Waiting] = []

    async def generate(self, item: GenerateItem, weights_sha256: str) -> list[Completion]:
        """The item's completions."""
        assert weights_sha256 == self._loaded.weights_sha256
        asked: Waiting = (item, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if len(self._waiting) == 1:
            await asyncio.sleep(_GATHER_S)
            together, self._waiting = self._waiting, []
            drawn = await asyncio.to_thread(self._draw, [item for item, _ in together])
            for (_, answer), completions in zip(together, drawn, strict=True):
                answer.set_result(completions)
        return await asked[1]

    def _draw(self, items: Sequence[GenerateItem]) -> list[list[Completion]]:
        use_threads(self._settings, self._loaded)
        drawn: dict[str, list[Completion]] = {item.item_id: [] for item in items}
        for batch in self._batches(items):
            found = draw_batch(self._loaded, [item for item, _ in batch])
            for (item, index), token_ids in zip(batch, found, strict=True):
                drawn[item.item_id].append(self._completion(item, index, token_ids))
        return [drawn[item.item_id] for item in items]

    def _batches(self, items: Sequence[GenerateItem]) -> list[list[tuple[GenerateItem, int]]]:
        """Samples by item and index, as they are drawn together."""
        of_items = [[(item, index) for index in range(item.n)] for item in items]
        if self._prompt_by_prompt:
            return of_items
        rows, size = list(chain.from_iterable(of_items)), self._settings.slots
        return [rows[at : at + size] for at in range(0, len(rows), size)]

    def _completion(self, item: GenerateItem, index: int, token_ids: list[int]) -> Completion:
        stops = StopStrings(self._loaded.tokenizer, item.sampling.stop)
        return Completion(
            index=index,
            text=stops.text(token_ids),
            token_ids=tuple(token_ids),
            logprobs=(),
            finish_reason="length" if len(token_ids) == item.sampling.max_tokens else "stop",
            prompt_tokens=len(self._loaded.render(item.prompt)),
            weights_sha256=self._loaded.weights_sha256,
        )


def draw_batch(loaded: LoadedModel, items: Sequence[GenerateItem]) -> list[list[int]]:
    """One completion of each item's prompt, all by the sampling of the first; up to the end token,
    without it.
    """
    sampling = items[0].sampling
    assert all(item.sampling == sampling for item in items), "one phase, one sampling"
    drawn = draw_together(
        loaded,
        items,
        do_sample=True,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        max_new_tokens=sampling.max_tokens,
        eos_token_id=sorted(loaded.end_ids),
    )
    return [_up_to_the_end(token_ids, loaded) for token_ids in drawn]


def _up_to_the_end(token_ids: list[int], loaded: LoadedModel) -> list[int]:
    ends = (at for at, token in enumerate(token_ids) if token in loaded.end_ids)
    return token_ids[: next(ends, len(token_ids))]
