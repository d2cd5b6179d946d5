"""A tiny model with a tokenizer of its own: random weights, real arithmetic, fast."""

import json
from pathlib import Path
from typing import Any

import pytest

TEXT = (
    "def add(a, b):\n    return a + b\n",
    "def double_each(xs):\n    return [2 * x for x in xs]\n",
    "### Code\n### Description of the given code\nReturn the sum of both numbers.\n",
    "assert add(1, 2) == 3\nassert add(-1, 1) == 0\nclass A:\n    pass\nprint(add(4, 5))\n",
    "Yes\nNo\nthe quick brown fox jumps over the lazy dog while 0123456789 birds sing\n",
)
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_model(folder: Path, seed: int, *, chat: bool = True, head_dim: int = 8) -> Path:
    """Write a Hugging Face folder: two Llama layers of width 32 and a byte-level BPE tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(TEXT * 4, trainer)
    make_tokenizer: Any = PreTrainedTokenizerFast
    tokenizer = make_tokenizer(tokenizer_object=bpe, eos_token="<|end|>")
    if chat:
        tokenizer.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=head_dim,
        max_position_embeddings=256,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        make: Any = LlamaForCausalLM
        model = make(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def mean_otherwise(folder: Path, file: str) -> None:
    """Change what the weights of a model's folder mean, and none of them."""
    content = json.loads((folder / file).read_text())
    match file:
        case "tokenizer.json":
            ids = content["model"]["vocab"]
            ids["a"], ids["b"] = ids["b"], ids["a"]
        case "config.json":
            content["rms_norm_eps"] = 0.1
        case "generation_config.json":
            content["eos_token_id"] = [0, 7]
    (folder / file).write_text(json.dumps(content))


@pytest.fixture(scope="session", autouse=True)
def _quiet_loading() -> None:
    """No progress bars while models are written and read."""
    import transformers

    quiet: Any = transformers.utils.logging.disable_progress_bar
    quiet()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model."""
    return make_model(tmp_path_factory.mktemp("tiny"), seed=1)


@pytest.fixture(scope="session")
def other_tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same tokenizer and architecture, other weights."""
    return make_model(tmp_path_factory.mktemp("other"), seed=2)


@pytest.fixture(scope="session")
def plain_tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model without a chat template."""
    return make_model(tmp_path_factory.mktemp("plain"), seed=3, chat=False)
