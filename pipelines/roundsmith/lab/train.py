"""Training of the lab's base model: from a seed to a Hugging Face folder, in minutes on two cores.

Axes: B rows of a batch, T tokens.
"""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from roundsmith.hashing import derive_seed
from roundsmith.lab.bases import MANIFEST
from roundsmith.lab.corpus import Corpus, CorpusRow, Mixture
from roundsmith.lab.tokenizer import train_tokenizer
from roundsmith.storage import replace_file

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    from roundsmith.lab.batches import Batch

log = logging.getLogger(__name__)
_TOKENIZER_ROWS = 4000
_LOG_EVERY = 50
_LAST_RATE = 0.02
"""The share of the learning rates that the last step still has."""


FINISH = Mixture(
    code=0.2,
    description=0.13,
    test=0.33,
    judge=0.34,
    depths=(0.15, 0.4, 0.45),
    first_rows=0,
    slips=0.3,
    neighbours=0.8,
    output_weight=3.0,
)
"""What the training ends on: code with mistakes in it, and much judging of such mistakes. It leaves
the base able, and sloppy enough to have something to learn from its own samples.
"""


@dataclass(frozen=True, slots=True)
class BaseSettings:
    """The size of the model and of its training, which has two parts: `steps` on `mixture`, then
    `finish_share` as many on `finish`, each with a warm-up and a decay of its own.
    """

    hidden: int = 192
    layers: int = 4
    heads: int = 6
    intermediate: int = 512
    context: int = 512
    steps: int = 2000
    tokens_per_batch: int = 4096
    matrix_rate: float = 0.02
    """Learning rate of Muon, for the weight matrices."""
    rate: float = 4e-3
    """Learning rate of AdamW, for embeddings and norms."""
    warmup: int = 40
    threads: int = 2
    mixture: Mixture = field(default_factory=Mixture)
    finish_share: float = 0.2
    finish_rate: float = 0.3
    """The finish's learning rates, as a share of those before it."""
    finish: Mixture = FINISH

    def finishing(self) -> "BaseSettings":
        """The settings of the second part, as of a training of its own."""
        return replace(
            self,
            steps=round(self.finish_share * self.steps),
            matrix_rate=self.finish_rate * self.matrix_rate,
            rate=self.finish_rate * self.rate,
            mixture=self.finish,
        )


@dataclass(frozen=True, slots=True)
class BaseTraining:
    """What a training did. `losses` are nats a token of codes and descriptions, of every fiftieth
    step of each part.
    """

    folder: Path
    parameters: int
    tokens: int
    seconds: float
    losses: tuple[float, ...]
    num_compositions: int


def train_base(
    out: Path,
    seed: int = 0,
    settings: BaseSettings | None = None,
    corpus: type[Corpus] = Corpus,
) -> BaseTraining:
    """Train a base model on a corpus and write it, its tokenizer and its manifest to `out`.

    The same seed, settings, machine and library versions give the same weights; the number of
    threads is set for the whole process. The manifest's first line is the settings, each further
    line a composition that a row of the training showed.
    """
    import torch

    chosen = settings or BaseSettings()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(seed)
    started = time.monotonic()
    shown: set[str] = set()
    mixed = replace(chosen.mixture, first_rows=0)
    texts = _watched(corpus(derive_seed(seed, "tokenizer"), mixed).rows(), shown)
    tokenizer = train_tokenizer(row.text for row in islice(texts, _TOKENIZER_ROWS))
    model = build_model(chosen, tokenizer)
    tokens, losses = _fit(model, _stream(tokenizer, seed, "", chosen, shown, corpus), chosen)
    late_tokens, late_losses = finish_base(model, tokenizer, seed, chosen, shown, corpus)
    model.bfloat16().save_pretrained(out)
    tokenizer.save_pretrained(out)
    _write_manifest(out / MANIFEST, seed, chosen, shown)
    parameters = sum(p.numel() for p in model.parameters())
    return BaseTraining(
        out,
        parameters,
        tokens + late_tokens,
        time.monotonic() - started,
        losses + late_losses,
        len(shown),
    )


def finish_base(
    model: "LlamaForCausalLM",
    tok: "PreTrainedTokenizerFast",
    seed: int,
    settings: BaseSettings,
    shown: set[str],
    corpus: type[Corpus] = Corpus,
) -> tuple[int, tuple[float, ...]]:
    """The second part of a training, from weights rounded to bfloat16 as a folder holds them."""
    last = settings.finishing()
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().float()
    return _fit(model, _stream(tok, seed, "finish ", last, shown, corpus), last)


def _stream(
    tok: "PreTrainedTokenizerFast",
    seed: int,
    part: str,
    settings: BaseSettings,
    shown: set[str],
    corpus: type[Corpus],
) -> "Iterator[Batch]":
    """The batches of one part, for ever."""
    from roundsmith.lab.batches import batches

    rows = _watched(corpus(derive_seed(seed, f"{part}rows"), settings.mixture).rows(), shown)
    rng = Random(derive_seed(seed, f"{part}batches"))
    return batches(rows, tok, settings.tokens_per_batch, rng)


def build_model(settings: BaseSettings, tok: "PreTrainedTokenizerFast") -> "LlamaForCausalLM":
    """An untrained model of the settings' size for the tokenizer's vocabulary."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        LlamaConfig(
            vocab_size=len(tok),
            hidden_size=settings.hidden,
            intermediate_size=settings.intermediate,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            num_key_value_heads=settings.heads,
            max_position_embeddings=settings.context,
            tie_word_embeddings=True,
            bos_token_id=tok.bos_token_id,
            eos_token_id=tok.eos_token_id,
            pad_token_id=tok.pad_token_id,
        )
    )


def _fit(
    model: "LlamaForCausalLM", stream: "Iterator[Batch]", settings: BaseSettings
) -> tuple[int, tuple[float, ...]]:
    """Take the steps; returns the tokens seen, padding included, and the logged losses."""
    import torch

    optimizers = _optimizers(model, settings)
    model.train()
    tokens, started = 0, time.monotonic()
    losses: list[float] = []
    recent: list[float] = []
    for step, batch in enumerate(islice(stream, settings.steps), start=1):
        _set_rates(optimizers, settings, step)
        loss, completion_loss = _losses(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        tokens += batch.ids_BT.numel()
        recent.append(completion_loss)
        if step % _LOG_EVERY == 0 or step == settings.steps:
            losses.append(sum(recent) / len(recent))
            recent.clear()
            pace = (time.monotonic() - started) / step
            log.info(
                "step %d of %d: loss %.3f, %.0f tokens/s, %.0f s left",
                step,
                settings.steps,
                losses[-1],
                tokens / step / pace,
                pace * (settings.steps - step),
            )
    return tokens, tuple(losses)


def _losses(model: "LlamaForCausalLM", batch: "Batch") -> "tuple[Tensor, float]":
    """The weighted loss to go down on, and the loss of codes and descriptions to show."""
    import torch

    logits_BTV = model(input_ids=batch.ids_BT, use_cache=False).logits[:, :-1]
    nats = torch.nn.functional.cross_entropy(
        logits_BTV.flatten(0, 1), batch.ids_BT[:, 1:].flatten(), reduction="none"
    )
    weights = batch.weights_BT[:, 1:].flatten()
    shown = nats.detach()[weights == 1].mean()
    return (nats * weights).sum() / weights.sum(), float(shown)


def _optimizers(model: "LlamaForCausalLM", settings: BaseSettings) -> "list[Optimizer]":
    import torch

    from roundsmith.lab.muon import Muon

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        Muon(matrices, lr=settings.matrix_rate),
        torch.optim.AdamW(others, lr=settings.rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _set_rates(optimizers: "list[Optimizer]", settings: BaseSettings, step: int) -> None:
    """Linear warm-up, then linear decay."""
    share = min(1.0, step / settings.warmup) * max(_LAST_RATE, 1 - (step - 1) / settings.steps)
    for optimizer, rate in zip(optimizers, (settings.matrix_rate, settings.rate), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * share


def _watched(rows: Iterator[CorpusRow], shown: set[str]) -> Iterator[CorpusRow]:
    for row in rows:
        shown.update(row.compositions)
        yield row


def _write_manifest(path: Path, seed: int, settings: BaseSettings, shown: set[str]) -> None:
    lines = [json.dumps({"seed": seed, **asdict(settings)}), *map(json.dumps, sorted(shown))]
    replace_file(str(path), ("\n".join(lines) + "\n").encode())
