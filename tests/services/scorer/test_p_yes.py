"""P(yes) by InverseCoder's released rule, worked out by hand over a vocabulary of eight words."""

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from roundsmith.models.loading import LoadedModel
from roundsmith.scorer.head import Head
from roundsmith.scorer.rows import Question

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
        # 0 looks at all tokens: e^0 / (e^0 + e^1).
        ((0.0, 1.0, 9.0, 3.0, 3.0, 3.0, 3.0, 3.0), 0, 1 / (1 + math.e)),
    ],
)
def test_p_yes_by_hand(logits: tuple[float, ...], top_k: int, expected: float) -> None:
    with torch.inference_mode():
        (found,) = head().answers(torch.tensor([logits]), [Question(YES, NO, AS, top_k)])
    assert found == pytest.approx(expected, abs=1e-6)
