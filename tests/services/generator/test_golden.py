"""Both engines against plain transformers: same tokens, same log-probabilities."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from roundsmith.hashing import weights_sha256
from roundsmith.types import ChatMessage, Completion, GenerateItem, Sampling
from tests.services.generator.driven import Driven, settings_of

Ask = Callable[[Sequence[GenerateItem]], list[list[Completion]]]
PROMPTS = ("def add(a, b):\n", "### Code\n", "the", "assert add(1, 2) == 3\n" * 8)
CLOSE = 5e-5
"""Float32 arithmetic in another order: how far log-probabilities may lie apart."""


@pytest.fixture(scope="module")
def plain(tiny: Path) -> tuple[Any, Any]:
    """Model and tokenizer as transformers loads them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(tiny)


def test_greedy_tokens_are_those_of_generate(ask: Ask, plain: tuple[Any, Any]) -> None:
    model, tokenizer = plain
    items = [GenerateItem(p, p, Sampling(40, temperature=0.0), seed=0) for p in PROMPTS]
    for item, (completion,) in zip(items, ask(items), strict=True):
        inputs = tokenizer(item.prompt, return_tensors="pt")
        whole = model.generate(
            **inputs, max_new_tokens=40, do_sample=False, pad_token_id=tokenizer.eos_token_id
        )
        ids = whole[0, inputs["input_ids"].shape[1] :].tolist()
        assert list(completion.token_ids) == ids
        assert completion.text == tokenizer.decode(ids, skip_special_tokens=True)


def test_prompts_computed_alone_give_what_prompts_computed_together_give(
    driven: Driven, tiny: Path
) -> None:
    if driven.engine.describe().engine == "vllm":
        pytest.skip("vLLM batches prompts as it likes")
    alone = Driven(settings_of("transformers", str(tiny), slots=4, prefill_rows=1))
    items = [GenerateItem(p, p, Sampling(20, temperature=0.0), seed=0) for p in PROMPTS]
    for (one,), (other,) in zip(alone.ask(items), driven.ask(items), strict=True):
        assert one.token_ids == other.token_ids
        assert one.logprobs == pytest.approx(other.logprobs, abs=2e-5)
    alone.close()


def test_log_probabilities_are_those_of_one_forward_pass(ask: Ask, plain: tuple[Any, Any]) -> None:
    model, tokenizer = plain
    items = [
        GenerateItem(p, p, Sampling(30, 0.7, top_p=0.9), seed=3, n=3, top_logprobs=4)
        for p in PROMPTS
    ]
    for item, completions in zip(items, ask(items), strict=True):
        prompt = tokenizer(item.prompt)["input_ids"]
        for completion in completions:
            ids = torch.tensor([[*prompt, *completion.token_ids]])
            with torch.inference_mode():
                logprobs = torch.log_softmax(model(ids).logits[0].double(), -1)
            at = range(len(prompt) - 1, ids.shape[1] - 1)
            golden = [
                logprobs[t, token].item() for t, token in zip(at, completion.token_ids, strict=True)
            ]
            assert completion.logprobs == pytest.approx(golden, abs=CLOSE)
            assert len(completion.top_logprobs) == len(golden)
            for t, top in zip(at, completion.top_logprobs, strict=True):
                best = logprobs[t].topk(4)
                assert top.logprobs == pytest.approx(best.values.tolist(), abs=CLOSE)
                assert list(top.token_ids) == best.indices.tolist()


def test_reloaded_weights_draw_what_their_model_draws(
    driven: Driven, tiny: Path, other_tiny: Path
) -> None:
    from transformers import AutoModelForCausalLM

    load: Any = AutoModelForCausalLM.from_pretrained
    item = GenerateItem("i", (5, 6, 7, 8), Sampling(24, temperature=0.0), 0)
    for folder in (other_tiny, tiny):
        driven.run(driven.engine.reload(folder, weights_sha256(folder)))
        ((completion,),) = driven.ask([item])
        whole = load(folder, dtype=torch.float32).generate(
            torch.tensor([item.prompt]), max_new_tokens=24, do_sample=False, pad_token_id=0
        )
        assert list(completion.token_ids) == whole[0, 4:].tolist()


def test_chat_messages_are_rendered_by_the_models_template(
    ask: Ask, plain: tuple[Any, Any]
) -> None:
    _, tokenizer = plain
    greedy = Sampling(8, temperature=0.0)
    ask_turn = (ChatMessage("user", "add"),)
    begun = (*ask_turn, ChatMessage("assistant", "def add"))
    texts = ("<|user|>add<|end|><|assistant|>", "<|user|>add<|end|><|assistant|>def add")
    answers = ask(
        [
            GenerateItem("turn", ask_turn, greedy, 0),
            GenerateItem("begun", begun, greedy, 0),
            *(GenerateItem(t, tuple(tokenizer(t)["input_ids"]), greedy, 0) for t in texts),
        ]
    )
    for one, other in zip(answers[:2], answers[2:], strict=True):
        assert [c.token_ids for c in one] == [c.token_ids for c in other]


def test_it_says_what_it_serves(driven: Driven, tiny: Path) -> None:
    described = driven.engine.describe()
    assert (described.model, described.slots, described.context_tokens) == (str(tiny), 4, 256)
    assert described.has_chat_template
    assert (described.dtype, len(described.weights_sha256)) == ("float32", 64)
    assert described.rank_weights_sha256 == (described.weights_sha256,)
    assert described.reproducible is (described.engine == "transformers")  # vLLM: not on a CPU
