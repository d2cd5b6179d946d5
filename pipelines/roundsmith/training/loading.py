"""The model and the coder that a training begins with."""

from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.training.coder import Coder
from roundsmith.training.job import TrainingJob


def load(job: TrainingJob) -> tuple[Any, Coder]:
    """The model in float32 and its coder. Raises ConfigError when there is no end token."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from roundsmith.models.loading import attend_whole

    model = AutoModelForCausalLM.from_pretrained(
        job.model,
        dtype=torch.float32,
        attn_implementation="sdpa",
        use_safetensors=True,
        trust_remote_code=job.trust_remote_code,
    )
    attend_whole(model)
    tokenizer = AutoTokenizer.from_pretrained(job.model, trust_remote_code=job.trust_remote_code)
    end_id = tokenizer.eos_token_id
    if end_id is None:
        raise ConfigError(
            f"{job.model}: expected a tokenizer with an end token, saw none: set eos_token in "
            "tokenizer_config.json"
        )
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", job.max_length)
    vocabulary = len(model.get_output_embeddings().weight)  # type: ignore[no-untyped-call]  # untyped
    return model, Coder(tokenizer, end_id, vocabulary, min(job.max_length, positions))
