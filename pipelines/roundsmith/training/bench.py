"""Trained tokens a second, against a bare loop of torch over the same batches; what of the device's
products they use; on a GPU the most memory, against what `roundsmith memory` reckons.
"""

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roundsmith.bench import BenchResult
from roundsmith.models.products import synchronize, utilisation
from roundsmith.store import EXAMPLES, write_file
from roundsmith.training.job import TrainingJob
from roundsmith.training.memory import GB, Shape, Way, activations, states
from roundsmith.training.progress import read_progress
from roundsmith.types import Example, Provenance

if TYPE_CHECKING:
    import torch

_PROMPT = 'def add(a, b):\n    """ Return the sum of a and b. """\n'
_LINE = "    total = total + values[index] * 2\n"
_TOKENS = 512
"""Of a row at most, and three quarters of what the model was made for; all rows are alike, so that
no side has padding.
"""
_FIRST, _STEPS = 2, 8
"""Steps that are not counted, and those that are."""
_RANK = 16


def bench(
    model: Path, batch_size: int = 64, micro_batch_size: int = 16, pairs: int = 3
) -> list[BenchResult]:
    """sft of all weights, and by LoRA, on the device that a training takes."""
    ways = (Way("full, AdamW"), Way(f"LoRA {_RANK}", lora_rank=_RANK))
    results: list[BenchResult] = []
    with tempfile.TemporaryDirectory() as folder:
        for way in ways:
            bench = _Bench(Path(folder, way.name), model, way, batch_size, micro_batch_size)
            results += bench.measure(pairs)
    return results


class _Bench:
    """One way to train."""

    def __init__(
        self, folder: Path, model: Path, way: Way, batch_size: int, micro_batch_size: int
    ) -> None:
        folder.mkdir()
        rows = folder / "rows.parquet"
        self._folder, self._way = folder, way
        self._job = TrainingJob(
            model=model,
            rows=(rows,),
            out=folder,
            max_steps=_FIRST + _STEPS,
            batch_size=batch_size,
            micro_batch_size=micro_batch_size,
            lora_rank=way.lora_rank,
            checkpoint_every_steps=0,
        )

    def measure(self, pairs: int) -> list[BenchResult]:
        import torch

        from roundsmith.training.loading import load
        from roundsmith.training.plan import uses_bfloat16

        model, coder = load(self._job)
        most = min(_TOKENS, model.config.max_position_embeddings * 3 // 4)
        prompt, line = coder.prompt(_PROMPT), coder.completion(_LINE)
        completion = _LINE * max(1, (most - len(prompt)) // len(line))
        ids = prompt + coder.completion(completion)
        row = Example("e", _PROMPT, completion, Provenance("bench", "sft", 0))
        write_file(EXAMPLES, self._job.rows[0], [row] * self._job.batch_size)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        tokens = len(ids) * self._job.batch_size
        bfloat16 = uses_bfloat16(self._job, model.num_parameters(), device.type == "cuda")
        dtype = torch.bfloat16 if bfloat16 else torch.float32
        case = f"sft, {self._way.name}, rows of {len(ids)} tokens"
        rates: list[tuple[float, float]] = []
        peaks: list[float] = []
        for turn in range(pairs):
            if device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            ours = tokens * _STEPS / self._by_trainer(turn)
            if device.type == "cuda":
                peaks.append(torch.cuda.max_memory_allocated() / GB)
            theirs = tokens * _STEPS / self._by_loop(ids, device, dtype)
            rates.append((ours, theirs))
        results = [BenchResult.of_slices(case, "tokens/s", "bare loop", rates)]
        if not self._way.lora_rank:
            results.append(utilisation(case, results[0].value, model.to(device), 3, dtype))
        if peaks and (shape := shape_of(model)) is not None:
            micro = len(ids) * self._job.micro_batch_size
            needed = (states(shape, self._way, 1) + activations(shape, micro, False)) / GB
            peak = max(peaks)
            results.append(
                BenchResult(f"{case}: memory", peak, "GB", "reckoned", needed, needed / peak)
            )
        return results

    def _by_trainer(self, turn: int) -> float:
        """Seconds of the counted steps of a training."""
        from roundsmith.training.run import train

        out = self._folder / str(turn)
        train(self._job.model_copy(update={"out": out}))
        lines = list(read_progress(out / "progress.jsonl"))
        # a line tells tokens a second since the begin, and all steps have as many tokens
        first, last = (lines[i].step / lines[i].tokens_per_s for i in (_FIRST - 1, -1))
        return (last - first) * self._tokens_of_a_step(out)

    def _tokens_of_a_step(self, out: Path) -> float:
        from roundsmith.training.result import read_result

        result = read_result(out)
        return result.tokens / result.steps

    def _by_loop(self, ids: list[int], device: "torch.device", dtype: "torch.dtype") -> float:
        """Seconds of as many steps of a loop that does nothing but train."""
        import torch

        from roundsmith.training.loading import load

        job = self._job
        torch.set_num_threads(job.num_threads or torch.get_num_threads())
        model, _ = load(job)
        model = _adapted(model, job).to(device).train()
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=job.learning_rate, fused=True)
        batch = torch.tensor([ids] * job.micro_batch_size, device=device)
        begun = 0.0
        for step in range(_FIRST + _STEPS):
            if step == _FIRST:
                synchronize(device)
                begun = time.perf_counter()
            for _ in range(job.batch_size // job.micro_batch_size):
                with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                    loss = model(input_ids=batch, labels=batch, use_cache=False).loss
                loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, job.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
        synchronize(device)
        return time.perf_counter() - begun


def shape_of(model: Any) -> Shape | None:
    """What the reckoning of memory asks of a model; None of one that is not built like Llama."""
    config = model.config
    names = ("intermediate_size", "num_key_value_heads", "hidden_act")
    if not all(hasattr(config, name) for name in names):
        return None
    return Shape(
        name=config.model_type,
        hidden=config.hidden_size,
        layers=config.num_hidden_layers,
        ffn=config.intermediate_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        vocabulary=config.vocab_size,
        gated=any("gate" in name for name, _ in model.named_parameters()),
        tied=config.tie_word_embeddings,
    )


def _adapted(model: Any, job: TrainingJob) -> Any:
    from peft import get_peft_model

    from roundsmith.training.settings import adapters

    return get_peft_model(model, adapters(job)) if job.lora_rank else model
