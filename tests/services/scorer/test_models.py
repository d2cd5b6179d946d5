"""Models of other kinds: a large vocabulary never becomes a matrix, one with attention of its own
is scored all the same, bfloat16 weights give float32 log-probabilities.
"""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from roundsmith.errors import EngineError
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import Score, ScoreItem
from tests.services.scorer.test_agreement import references, score

ITEMS = [
    ScoreItem(str(i), tuple(range(3, 4 + i)), tuple(range(7, 9 + i)), end=False) for i in range(12)
]
ITEMS += [ScoreItem(f"shared {i}", (9, 8, 7), (i + 1, 5), end=False) for i in range(4)]


def made(folder: Path, model: Any, tokenizer_of: Path) -> str:
    """A folder of a model with random weights, and a tokenizer of another."""
    from transformers import AutoTokenizer

    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tokenizer_of).save_pretrained(folder)
    return str(folder)


def one_by_one(scorer: TransformersScorer, items: Sequence[ScoreItem]) -> list[Score]:
    """Scores of items, each asked for when the one before is there."""

    async def ask() -> list[Score]:
        return [await scorer.score(item) for item in items]

    return asyncio.run(ask())


def test_a_model_with_attention_of_its_own_takes_each_text_alone(
    tmp_path: Path, tiny: Path
) -> None:
    from transformers import FalconConfig, FalconForCausalLM

    config: Any = FalconConfig
    make: Any = FalconForCausalLM
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = make(config(vocab_size=448, eos_token_id=0, bos_token_id=0, **sizes))
    scorer = TransformersScorer(ScorerSettings(model=made(tmp_path / "own", model, tiny)))
    assert not scorer.shares_prompts
    found = score(scorer, ITEMS)
    assert one_by_one(scorer, ITEMS) == found
    scorer.close()
    for told, golden in zip(
        found, references(str(tmp_path / "own"), torch.float32, ITEMS), strict=True
    ):
        assert told.logprob_sum == pytest.approx(sum(golden), abs=1e-4)


@pytest.mark.parametrize("kind", ["Qwen2", "Qwen3", "GPT2", "Starcoder2"])
def test_models_of_other_kinds_are_packed_and_agree_with_float64(
    tmp_path: Path, tiny: Path, kind: str
) -> None:
    import transformers

    config: Any = getattr(transformers, f"{kind}Config")
    sizes = (
        {"n_embd": 32, "n_layer": 2, "n_head": 4}
        if kind == "GPT2"
        else {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
        }
    )
    torch.manual_seed(0)
    name = "GPT2LMHeadModel" if kind == "GPT2" else f"{kind}ForCausalLM"
    make: Any = getattr(transformers, name)
    model = make(config(vocab_size=448, eos_token_id=0, bos_token_id=0, pad_token_id=0, **sizes))
    folder = made(tmp_path / kind, model, tiny)
    scorer = TransformersScorer(ScorerSettings(model=folder, forward_tokens=64))
    assert scorer.shares_prompts
    found = score(scorer, ITEMS)
    assert one_by_one(scorer, ITEMS) == found
    scorer.close()
    for told, golden in zip(found, references(folder, torch.float32, ITEMS), strict=True):
        assert told.logprob_sum == pytest.approx(sum(golden), abs=1e-4)


def test_a_model_that_caps_its_attention_takes_each_text_alone_with_the_cap(
    tmp_path: Path, tiny: Path
) -> None:
    from transformers import AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM

    config: Any = Gemma2Config
    make: Any = Gemma2ForCausalLM
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 8}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "attn_logit_softcapping": 2.0}
    model = make(config(vocab_size=448, eos_token_id=0, bos_token_id=0, **sizes, **heads))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "q_proj" in name or "k_proj" in name:
                weight.mul_(40)  # so that the cap is felt
    folder = made(tmp_path / "capped", model, tiny)
    scorer = TransformersScorer(ScorerSettings(model=folder))
    assert not scorer.shares_prompts
    found = score(scorer, ITEMS)
    scorer.close()
    loading: Any = AutoModelForCausalLM
    whole = loading.from_pretrained(folder, attn_implementation="eager").double().eval()
    dropped = loading.from_pretrained(folder, attn_implementation="sdpa").double().eval()
    item, told = ITEMS[11], found[11]
    exact = [logprob_sum(one, item) for one in (whole, dropped)]
    assert told.logprob_sum == pytest.approx(exact[0], abs=1e-4)
    assert abs(exact[0] - exact[1]) > 1e-2, "else the cap is not felt"


def logprob_sum(model: Any, item: ScoreItem) -> float:
    """Of an item of token ids, by a plain forward pass."""
    ids = torch.tensor([[*item.prompt, *item.completion]])
    with torch.inference_mode():
        logprobs = model(ids).logits[0].log_softmax(-1)
    begin = len(item.prompt)
    return float(sum(logprobs[begin - 1 + n, t] for n, t in enumerate(item.completion)))


def test_a_score_that_is_no_number_is_refused_and_others_are_answered(
    tmp_path: Path, tiny: Path
) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    loading: Any = AutoModelForCausalLM
    torch.manual_seed(0)
    model = loading.from_config(AutoConfig.from_pretrained(tiny, tie_word_embeddings=False))
    scorer = TransformersScorer(ScorerSettings(model=made(tmp_path / "untied", model, tiny)))
    with torch.no_grad():  # no checkpoint with it would load
        scorer._worker.loaded.model.get_input_embeddings().weight[50] = torch.nan

    async def ask() -> list[Any]:
        items = (
            ScoreItem("bad", (5, 6, 50), (7, 8), end=False),
            ScoreItem("asked", (5, 6, 50), p_yes=True),
            ScoreItem("good", (5, 6), (7, 8), end=False),
        )
        return list(await asyncio.gather(*map(scorer.score, items), return_exceptions=True))

    bad, asked, good = asyncio.run(ask())
    scorer.close()
    for error in (bad, asked):
        assert isinstance(error, EngineError)
        assert "log-probability nan, expected a finite one" in str(error)
    assert good.logprob_sum < 0


def test_a_perplexity_beyond_floats_is_infinite() -> None:
    assert Score(-2400.0, 3, "").perplexity == float("inf")


def test_bfloat16_weights_give_log_probabilities_of_float32(tiny: Path) -> None:
    scorer = TransformersScorer(ScorerSettings(model=str(tiny), dtype="bfloat16"))
    found = score(scorer, ITEMS)
    assert one_by_one(scorer, ITEMS) == found
    scorer.close()
    golden = references(str(tiny), torch.bfloat16, ITEMS)
    for told, logprobs in zip(found, golden, strict=True):
        assert told.logprob_sum == pytest.approx(sum(logprobs), abs=0.1 * len(logprobs))
    shares = [told.logprob_sum for told in found if told.token_count == 1]
    assert all(torch.tensor(x).bfloat16().item() != x for x in shares), "not rounded to bfloat16"


LARGE = 200_000
SCRIPT = """
import asyncio, sys
from pathlib import Path
from roundsmith.errors import ConfigError
from roundsmith.models.loading import load
from roundsmith.scorer.bench_memory import peak_memory
from roundsmith.scorer.engine import TransformersScorer
from roundsmith.scorer.settings import ScorerSettings
from roundsmith.types import ScoreItem

settings = ScorerSettings(model=sys.argv[1], threads=1, prefix_bytes=2**20)
scorer = TransformersScorer(settings)
items = [ScoreItem(str(i), (1, 2), tuple(range(i, i + 60)), end=False) for i in range(60)]
for top_k in (5, 8192):
    items += [ScoreItem(f"y{i}", (3, i), p_yes=True, p_yes_top_k=top_k) for i in range(50)]
asyncio.run(scorer.score(items[0]))
try:
    asyncio.run(scorer.score(ScoreItem("z", (3,), p_yes=True, p_yes_top_k=8193)))
except ConfigError as error:
    assert str(error) == "p_yes_top_k: saw 8193, expected at most 8192, or 0 for all tokens"
else:
    raise AssertionError("as many are kept side by side")
result = peak_memory(scorer, load(settings), settings, items)
scorer.close()
print(result.value, result.against_value)
"""


def test_a_vocabulary_of_200_000_never_becomes_a_matrix_of_tokens_by_vocabulary(
    tmp_path: Path, tiny: Path
) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config: Any = LlamaConfig
    make: Any = LlamaForCausalLM
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": True}
    model = make(config(vocab_size=LARGE, **sizes, **heads))
    folder = made(tmp_path / "large", model, tiny)
    command = [sys.executable, "-c", SCRIPT, folder]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, bound = map(float, ran.stdout.split())
    one_pass = 512 * LARGE * 4 / 2**20
    assert peak <= bound < one_pass / 4
