"""P(yes) by InverseCoder's released rule, worked out by hand over a vocabulary of eight words."""

import asyncio
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from roundsmith.clients import ScorerClient
from roundsmith.clients.channels import open_channel
from roundsmith.config import ServeSettings, WeightsSettings
from roundsmith.models.loading import LoadedModel
from roundsmith.scorer.head import Head, p_yes
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.scorer.start import start
from roundsmith.serve import listening
from roundsmith.types import Score, ScoreItem

YES, NO, AS = 0, 1, 2


def head() -> Head:
    """An output layer whose logits are the hidden states themselves."""
    layer = torch.nn.Linear(8, 8, bias=False)
    torch.nn.init.eye_(layer.weight)
    model: Any = SimpleNamespace(
        get_output_embeddings=lambda: layer,
        config=SimpleNamespace(get_text_config=lambda: SimpleNamespace()),
    )
    loaded = SimpleNamespace(model=model, device=torch.device("cpu"), vocabulary=8)
    return Head(cast(LoadedModel, loaded))


@pytest.mark.parametrize(
    ("logits", "top_k", "expected"),
    [
        # Both in the top 5: e^2 / (e^2 + e^1), whatever the others are.
        ((2.0, 1.0, 0.0, 3.0, 3.0, -1.0, -1.0, -1.0), 5, math.e**2 / (math.e**2 + math.e)),
        # No is the sixth: As stands in for it.
        ((2.0, 0.0, 1.0, 3.0, 3.0, 3.0, -1.0, -1.0), 5, math.e**2 / (math.e**2 + math.e)),
        # Neither No nor As: no = -100, and nothing is left of it.
        ((2.0, 0.0, 0.0, 3.0, 3.0, 3.0, 3.0, -1.0), 5, 1.0),
        # Yes is the sixth: yes = -100.
        ((0.0, 2.0, 1.0, 3.0, 3.0, 3.0, -1.0, -1.0), 5, 0.0),
        # No outweighs As where both are seen.
        ((2.0, 1.0, 1.5, 3.0, 3.0, -1.0, -1.0, -1.0), 5, math.e**2 / (math.e**2 + math.e)),
        # Neither Yes nor No nor As: both are -100.
        ((0.0, 0.0, 0.0, 3.0, 3.0, 3.0, 3.0, 3.0), 5, 0.5),
        # No is as likely as the fifth, whichever of the two sorting would put first: it is seen.
        ((2.0, 1.0, 0.0, 3.0, 3.0, 3.0, 1.0, -1.0), 5, math.e**2 / (math.e**2 + math.e)),
        # Yes is the only one of the top 1, and As is not: no = -100, and e^-100 is nothing.
        ((3.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0), 1, 1.0),
        # All are as likely: all are seen, and neither is likelier.
        ((1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0), 1, 0.5),
        # What is seen and less likely than e^-100 is less than what is not seen, as released.
        ((-110.0, -120.0, -120.0, 9.0, -110.0, -110.0, -110.0, -120.0), 5, 1 / (1 + math.e**19)),
        # As many as there are, and more: e^0 / (e^0 + e^1), and As stands in for nothing.
        ((0.0, 1.0, 9.0, 3.0, 3.0, 3.0, 3.0, 3.0), 8, 1 / (1 + math.e)),
        ((0.0, 1.0, 9.0, 3.0, 3.0, 3.0, 3.0, 3.0), 800, 1 / (1 + math.e)),
        # 0 looks at all tokens: e^0 / (e^0 + e^1).
        ((0.0, 1.0, 9.0, 3.0, 3.0, 3.0, 3.0, 3.0), 0, 1 / (1 + math.e)),
    ],
)
def test_p_yes_by_hand(logits: tuple[float, ...], top_k: int, expected: float) -> None:
    place, picks = np.zeros(1, np.int64), np.array([(YES, NO, AS)])
    with torch.inference_mode():
        (found,) = head().logprobs(torch.tensor([logits]), place, picks, top_k).tolist()
    assert p_yes(*found) == pytest.approx(expected, abs=1e-6)


def test_as_many_tokens_as_there_are_is_the_exact_ratio(tiny: Path) -> None:
    prompt, settings = "### Code\ndef add(a, b):\n    return a + b\n", ServeSettings()
    asked = [ScoreItem(str(k), prompt, p_yes=True, p_yes_top_k=k) for k in (0, 400, 2**32 - 1)]

    async def scenario() -> list[Score]:
        service = await start(ScorerSettings(model=str(tiny)), settings, WeightsSettings())
        try:
            async with (
                listening(service.bindings, settings) as addresses,
                open_channel(addresses["address"]) as channel,
            ):
                client = ScorerClient(channel)
                found = await asyncio.gather(*map(client.score, asked))
                await client.stream.close()
                return list(found)
        finally:
            await service.close()

    exact, *others = asyncio.run(scenario())
    assert exact.p_yes is not None
    assert 0 < exact.p_yes < 1
    assert others == [exact, exact]
