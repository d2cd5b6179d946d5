"""Overload, new weights, the end."""

import asyncio
import gc
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from roundsmith.clients.channels import open_channel
from roundsmith.config import ServeSettings, WeightsSettings
from roundsmith.errors import EngineError, Overloaded, TooLong, Unavailable, WeightsMismatch
from roundsmith.hashing import weights_sha256
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.scorer.start import start
from roundsmith.serve import listening
from roundsmith.types import Score, ScoreItem
from roundsmith.v1 import scorer_pb2, scorer_pb2_grpc
from roundsmith.wire import to_message

ITEMS = [ScoreItem(str(i), "def add", "x" * (i + 1)) for i in range(8)]


def test_new_weights_score_what_waits(tiny: Path, other_tiny: Path) -> None:
    scorer = TransformersScorer(ScorerSettings(model=str(tiny)))
    new = weights_sha256(other_tiny)

    async def ask() -> list[Score]:
        return list(await asyncio.gather(*map(scorer.score, ITEMS)))

    async def scenario() -> tuple[list[Score], list[Score], list[Score]]:
        before = await ask()
        during = asyncio.create_task(ask())
        await scorer.reload(other_tiny, new)
        await scorer.reload(other_tiny, new)  # again: nothing to do
        with pytest.raises(WeightsMismatch, match=r"expected 0000"):
            await scorer.reload(tiny, "0" * 64)
        return before, await during, await ask()

    before, during, after = asyncio.run(scenario())
    assert {score.weights_sha256 for score in before} == {weights_sha256(tiny)}
    assert {score.weights_sha256 for score in after} == {new} == {scorer.describe().weights_sha256}
    for mixed, one, other in zip(during, before, after, strict=True):
        assert mixed in (one, other)
    scorer.close()


def test_of_what_scored_before_a_reload_nothing_stays_in_memory(
    tiny: Path, other_tiny: Path
) -> None:
    scorer = TransformersScorer(ScorerSettings(model=str(tiny)))
    held = weakref.ref(scorer._worker.loaded.model)

    async def scenario() -> None:
        await scorer.score(ITEMS[0])
        await scorer.reload(other_tiny, weights_sha256(other_tiny))
        await scorer.score(ITEMS[0])

    gc.collect()
    gc.disable()  # what only a full collection finds waits for it, on a GPU too
    try:
        asyncio.run(scenario())
        assert held() is None
    finally:
        gc.enable()
        scorer.close()


def test_a_full_queue_refuses_and_the_accepted_are_answered(tiny: Path) -> None:
    scorer = TransformersScorer(ScorerSettings(model=str(tiny), max_waiting=4, linger_s=0.2))

    async def scenario() -> list[Score | BaseException]:
        return await asyncio.gather(*map(scorer.score, ITEMS * 4), return_exceptions=True)

    answers = asyncio.run(scenario())
    refused = [answer for answer in answers if isinstance(answer, Overloaded)]
    assert refused
    assert all(error.retry_after_s >= 0.5 for error in refused)
    assert len([a for a in answers if isinstance(a, Score)]) == len(answers) - len(refused) >= 4
    scorer.close()


def test_a_cancelled_item_is_dropped_and_others_are_scored(tiny: Path) -> None:
    scorer = TransformersScorer(ScorerSettings(model=str(tiny), linger_s=3.0))

    async def scenario() -> Score:
        cancelled = asyncio.create_task(scorer.score(ITEMS[0]))
        kept = asyncio.create_task(scorer.score(ITEMS[0]))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        return await kept

    assert asyncio.run(scenario()).token_count > 0
    scorer.close()


def test_what_waits_when_the_scorer_closes_is_told_so(tiny: Path) -> None:
    scorer = TransformersScorer(ScorerSettings(model=str(tiny), linger_s=30.0))

    async def scenario() -> None:
        asked = asyncio.create_task(scorer.score(ITEMS[0]))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(scorer.close)
        with pytest.raises(Unavailable, match="shutting down"):
            await asked
        with pytest.raises(Unavailable):
            await scorer.score(ITEMS[0])

    asyncio.run(scenario())


@contextmanager
def no_memory() -> Iterator[None]:
    """No model computes anything meanwhile."""
    from torch.nn.modules.module import register_module_forward_pre_hook

    def refuse(*_: object) -> None:
        raise MemoryError("no room for the pass")

    hook = register_module_forward_pre_hook(refuse)
    try:
        yield
    finally:
        hook.remove()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_scorer_without_memory_answers_what_it_read_and_what_waited(tiny: Path) -> None:
    scorer = TransformersScorer(ScorerSettings(model=str(tiny), forward_tokens=64))

    async def scenario() -> tuple[list[Score | BaseException], BaseException]:
        asked = asyncio.gather(*map(scorer.score, ITEMS * 4), return_exceptions=True)
        async with asyncio.timeout(120):
            return await asked, await scorer.failed()

    with no_memory():
        answers, told = asyncio.run(scenario())
    scorer.close()
    assert isinstance(told, EngineError)
    assert "the scorer ran out of memory" in str(told)
    assert {(type(answer), str(answer)) for answer in answers} == {(Unavailable, str(told))}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_scorer_without_memory_ends_its_service(tiny: Path) -> None:
    settings = ServeSettings()

    async def scenario() -> None:
        service = await start(ScorerSettings(model=str(tiny)), settings, WeightsSettings())
        try:
            async with (
                listening(service.bindings, settings) as addresses,
                open_channel(addresses["address"]) as channel,
            ):
                stub = scorer_pb2_grpc.ScorerServiceStub(channel)
                request = scorer_pb2.ScoreRequest(item=to_message(ITEMS[0]))
                with no_memory(), pytest.raises(grpc.RpcError) as seen:
                    await stub.Score(request, timeout=120)
                assert isinstance(seen.value, grpc.aio.AioRpcError)
                assert seen.value.code() == grpc.StatusCode.UNAVAILABLE
            assert service.failed is not None
            async with asyncio.timeout(120):
                assert "ran out of memory" in str(await service.failed())
        finally:
            await service.close()

    asyncio.run(scenario())


def test_a_text_of_millions_is_refused_before_others_wait_for_it(
    scorer: TransformersScorer,
) -> None:
    huge = "hello world " * 500_000
    begun = time.process_time()  # which a busy machine makes no longer
    for item in (ScoreItem("p", huge, "x"), ScoreItem("c", "def", huge)):
        with pytest.raises(TooLong, match="text of 6000000 characters"):
            asyncio.run(scorer.score(item))
    assert time.process_time() - begun < 2  # to tokenize as much takes half a minute
