"""The scorer on a GPU: texts end to end in one call of the flash kernel, each with its own number.
What of it needs no GPU is tested everywhere.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from random import Random
from typing import Any

import pytest
import torch

from roundsmith.lab import MODEL
from roundsmith.models import graphs
from roundsmith.models.loading import LoadedModel, load
from roundsmith.scorer import forward, varlen
from roundsmith.scorer.chains import Chain, Run
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.forward import Forward
from roundsmith.scorer.replayed import Replayed
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.scorer.varlen import KeptKeys, Layout, VarlenAttention
from roundsmith.types import ScoreItem
from tests.services.flash import emulated
from tests.services.scorer.test_agreement import (
    BFLOAT16_BOUND,
    BFLOAT16_MEAN,
    FLOAT32_BOUND,
    TEXTS,
    check,
    golden_of,
    score,
)

gpu = pytest.mark.gpu
LAYER = 3
FILLING = (999, 998)
"""Of the end of a pass."""


def keys_of(ids: tuple[int, ...]) -> torch.Tensor:
    """Keys of one head and width 2 that tell which token they are of, [T, 1, 2]."""
    return torch.tensor([[[token, -token]] for token in ids], dtype=torch.float32)


def pass_of(*parts: tuple[Chain, int]) -> tuple[list[Run], torch.Tensor]:
    """So many more tokens of each chain end to end, and their keys."""
    runs: list[Run] = []
    at, tokens = 0, list[int]()
    for chain, num in parts:
        runs.append(Run(chain, chain.planned, chain.planned + num, at))
        chain.planned += num
        tokens += chain.ids[runs[-1].start : runs[-1].stop]
        at += num
    return runs, keys_of(tuple(tokens))


def seen(runs: list[Run], kept: KeptKeys, keys: torch.Tensor) -> list[int]:
    """The tokens whose keys a pass attends to, text by text."""
    tokens = len(keys) + len(FILLING)
    keys = torch.cat([keys, keys_of(FILLING)])
    layout = Layout(runs, tokens, 1, kept)
    attention = VarlenAttention(torch.from_numpy(layout.numbers), layout.sizes, tokens, kept)
    found, values = attention._seen(LAYER, keys, -keys)
    assert torch.equal(found, -values)
    ids = [int(token) for token in found[: int(attention._begins_k[-1]), 0, 0]]
    assert tuple(ids[-len(FILLING) :]) == FILLING
    return ids[: -len(FILLING)]


def test_each_text_sees_its_prompt_and_what_was_computed_of_it_in_earlier_passes() -> None:
    kept, number = KeptKeys(), count(1)

    def ids(num: int) -> tuple[int, ...]:
        return tuple(next(number) for _ in range(num))

    prompt = Chain(ids(4), followed=True)
    one, two, alone = Chain(ids(3), prompt), Chain(ids(6), prompt), Chain(ids(5))
    runs, keys = pass_of((alone, 2), (prompt, 3))
    assert seen(runs, kept, keys) == [*alone.ids[:2], *prompt.ids[:3]]
    runs, keys = pass_of((prompt, 1), (one, 3), (two, 4), (alone, 3))
    assert seen(runs, kept, keys) == [
        *prompt.ids,
        *(*prompt.ids, *one.ids),
        *(*prompt.ids, *two.ids[:4]),
        *alone.ids,
    ]
    runs, keys = pass_of((two, 2))
    assert seen(runs, kept, keys) == [*prompt.ids, *two.ids]


def test_places_are_free_again_when_the_last_chain_that_holds_them_is_gone() -> None:
    kept = KeptKeys()
    first = kept.take(3000)
    held = set(first.numbers.tolist())
    second = kept.take(1000)
    assert held.isdisjoint(second.numbers.tolist())
    del first
    third = kept.take(3000)
    assert set(second.numbers.tolist()).isdisjoint(third.numbers.tolist())
    assert max(third.numbers.tolist()) < 4096, "no more than were held at once"


def test_what_is_kept_counts_its_bytes_and_moves_whole_when_it_grows() -> None:
    kept = KeptKeys()
    prompt = Chain(tuple(range(1, 5)), followed=True)
    runs, keys = pass_of((prompt, 4))
    seen(runs, kept, keys)
    assert prompt.count_bytes() == 4 * (2 * 2 * 4), "keys and values of two float32 each"
    large = Chain(tuple(range(10, 10_010)), followed=True)
    runs, keys = pass_of((large, 10_000))
    seen(runs, kept, keys)
    runs, keys = pass_of((Chain((77,), prompt), 1))
    assert seen(runs, kept, keys) == [1, 2, 3, 4, 77]


@pytest.mark.parametrize("as_graphs", [False, True])
def test_scores_by_the_kernel_are_those_of_text_by_text_whatever_is_kept(
    monkeypatch: pytest.MonkeyPatch, as_graphs: bool
) -> None:
    settings = ScorerSettings(
        model=str(MODEL), device="cpu", forward_tokens=128, linger_s=0.0, prefix_bytes=300_000
    )
    draw = Random(3)

    def ids(least: int) -> tuple[int, ...]:
        return tuple(draw.randrange(700) for _ in range(draw.randint(least, 120)))

    prompts = [ids(5) for _ in range(12)]
    items = [ScoreItem(str(n), draw.choice(prompts), ids(1), end=False) for n in range(90)]
    text_by_text = scored(settings, items)
    made: list[Replayed] = []

    def ways(loaded: LoadedModel, block: int) -> Iterator[object]:
        made.append(Replayed(partial(forward._last_hidden, loaded), 8, loaded.device))
        yield made[0].hidden

    monkeypatch.setattr(forward, "_ways", ways)
    monkeypatch.setattr(graphs, "captured", again if as_graphs else graphs.captured)
    with emulated(varlen):
        by_kernel = scored(settings, items)
    gc.collect()
    assert by_kernel == pytest.approx(text_by_text, abs=1e-3)
    kept = made[0]._kept
    assert len(set(kept._free)) == len(kept._free) == kept.num_places, "all places are free again"
    assert made[0]._replays.work == as_graphs


class Again:
    """Stands for a captured graph where there is no GPU: does it all again, with what lies in the
    same tensors, into the same one.
    """

    def __init__(self, run: Callable[[], torch.Tensor]) -> None:
        self._run, self._given = run, run()

    def replay(self) -> torch.Tensor:
        """As a graph's."""
        return self._given.copy_(self._run())


def again(_what: str, run: Callable[[], torch.Tensor], *_: object) -> Again:
    """As `graphs.captured`."""
    return Again(run)


def test_a_graph_that_gives_other_bits_is_not_replayed_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Late(Again):
        """Gives what it gave before."""

        def replay(self) -> torch.Tensor:
            before = self._given.clone()
            super().replay()
            return before

    monkeypatch.setattr(graphs, "captured", lambda _what, run, *_: Late(run))
    replays = graphs.Replays("sums", torch.device("cpu"))
    for one in (2.0, 3.0, 4.0):
        found = replays.run("sum", lambda given: given + 1, torch.tensor([one]))
        assert found.tolist() == [one + 1]
    assert not replays.work
    assert "sums differ when replayed" in caplog.text


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("40 GiB more"), None])
def test_where_there_is_no_further_graph_all_is_computed_kernel_by_kernel(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception | None
) -> None:
    replays = graphs.Replays("sums", torch.device("cpu"))

    def only_one(_what: str, run: Callable[[], torch.Tensor], *_: object) -> Again | None:
        if not replays._graphs:
            return Again(run)
        if error is not None:
            raise error
        return None

    monkeypatch.setattr(graphs, "captured", only_one)
    for one in (2.0, 3.0, 4.0):
        for size in (1, 2):
            found = replays.run(size, lambda given: given + 1, torch.full((size,), one))
            assert found.tolist() == [one + 1] * size
    assert not replays.work
    assert not replays._graphs, "what they held is given back"
    said = caplog.text.count("no memory for graphs of sums: 40 GiB more")
    assert said == (error is not None)


def scored(settings: ScorerSettings, items: Sequence[ScoreItem]) -> list[float]:
    """Sums of log-probabilities, by a scorer of its own."""
    scorer = TransformersScorer(settings)
    try:
        return [one.logprob_sum for one in score(scorer, items)]
    finally:
        scorer.close()


def way_of(settings: ScorerSettings) -> Any:
    """How a scorer of these settings goes through a pass."""
    way = Forward(load(settings), settings.block("cuda"))._way
    assert way is not None
    return way


@gpu
def test_texts_go_through_the_flash_kernel_in_bfloat16() -> None:
    settings = ScorerSettings(model=str(MODEL), device="cuda", dtype="bfloat16")
    assert way_of(settings).__name__ == "hidden"


@gpu
def test_in_any_order_and_company_a_text_has_the_same_bits_within_the_bound() -> None:
    settings = ScorerSettings(
        model=str(MODEL), device="cuda", dtype="bfloat16", forward_tokens=4096, linger_s=0.0
    )
    golden = golden_of(settings.model, torch.bfloat16, longest=120)
    errors = check(settings, golden, BFLOAT16_BOUND, at_once=TEXTS, whole=True)
    assert sum(errors) / len(errors) <= BFLOAT16_MEAN


@gpu
def test_float32_goes_text_by_text_within_its_bound() -> None:
    settings = ScorerSettings(model=str(MODEL), device="cuda", dtype="float32", linger_s=0.0)
    assert way_of(settings).__name__ == "text_by_text"
    golden = golden_of(settings.model, torch.float32, longest=60)
    check(settings, golden, FLOAT32_BOUND, at_once=TEXTS, whole=False)
