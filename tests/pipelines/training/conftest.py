"""A model of a few thousand weights with a tokenizer of its own, and rows for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roundsmith.store import EXAMPLES, PAIRS, write_file
from roundsmith.training import TrainingJob
from roundsmith.types import Example, Pair, Prompt, Provenance

TEXT = [
    "def add(a, b):\n    return a + b\n",
    "### Code\n### Description\n",
    "0123456789 (),:=+*-[]",
]
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}"
    "{% if not loop.last %}</s>{% endif %}{% endfor %}"
)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers, with a byte-level tokenizer and a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny") / "model"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(
            vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet
        ),
    )
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # untyped
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>"
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)  # type: ignore[no-untyped-call]  # untyped
    return folder


def example(number: int, prompt: Prompt | None = None, completion: str = "") -> Example:
    """A row; its length differs from its neighbours'."""
    prompt = f"def f{number}(a):\n" if prompt is None else prompt
    completion = completion or f"    return a + {number}\n" * (1 + number % 3)
    return Example(f"e{number}", prompt, completion, Provenance("t", "rft", 0))


def pair(number: int) -> Pair:
    """A preference: the chosen completion is longer for every third number."""
    chosen = f"    return a + {number}\n" * (1 + number % 3)
    origin = Provenance("t", "dstc", 1)
    return Pair(f"p{number}", f"def f{number}(a):\n", chosen, "    return a - 1\n", origin)


SETTINGS: dict[str, Any] = {
    "batch_size": 8,
    "micro_batch_size": 4,
    "learning_rate": 1e-3,
    "warmup_steps": 2,
    "num_threads": 1,
    "device": "cpu",
    "checkpoint_every_steps": 2,
}

MakeJob = Callable[..., TrainingJob]


@pytest.fixture
def make_pair_job(model: Path, tmp_path: Path) -> MakeJob:
    """Makes a dpo job over pairs (24 by default), with small settings."""

    def make(pairs: list[Pair] | None = None, out: str = "out", **changed: Any) -> TrainingJob:
        rows = tmp_path / "pairs.parquet"
        write_file(PAIRS, rows, [pair(i) for i in range(24)] if pairs is None else pairs)
        where = {"model": model, "rows": (rows,), "out": tmp_path / out, "objective": "dpo"}
        return TrainingJob(**where | SETTINGS | changed)

    return make


@pytest.fixture
def make_job(model: Path, tmp_path: Path) -> MakeJob:
    """Makes a job over the given examples (24 by default), with small settings."""

    def make(
        examples: list[Example] | None = None, out: str = "out", **changed: Any
    ) -> TrainingJob:
        rows = tmp_path / "rows.parquet"
        write_file(
            EXAMPLES, rows, [example(i) for i in range(24)] if examples is None else examples
        )
        where = {"model": model, "rows": (rows,), "out": tmp_path / out}
        return TrainingJob(**where | SETTINGS | changed)

    return make


def close(one: Path, other: Path) -> bool:
    """Whether two model folders hold the same weights up to rounding."""
    from safetensors.torch import load_file

    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert first.keys() == second.keys()
    return all(first[name].sub(second[name]).abs().max() < 1e-4 for name in first)


def built(job: TrainingJob) -> Any:
    """The trainer of a job, as `run` makes it, before its first step."""
    from accelerate import PartialState  # type: ignore[import-untyped]  # ships no types

    from roundsmith.training.folder import JobFolder
    from roundsmith.training.keeping import FolderKeeping
    from roundsmith.training.loading import load
    from roundsmith.training.objectives import find_objective
    from roundsmith.training.plan import plan_training
    from roundsmith.training.tokens import write_tokens

    folder, objective = JobFolder(job), find_objective(job.objective)
    folder.path.mkdir(parents=True)
    folder.open()
    model, coder = load(job)
    config = objective.arguments(job, folder, "cpu", False)
    tokens = write_tokens(coder, objective, job, folder.work / "tokens.arrow")
    plan = plan_training(job, objective, tokens, coder.tokenizer, 1)
    return objective.build(
        job, FolderKeeping(folder, PartialState(cpu=True)), plan, config, model, []
    )
