"""A checked model folder in memory: weights, tokenizer, limits."""

import logging
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roundsmith.config import cpu_count, has_bfloat16_units
from roundsmith.errors import ConfigError, WeightsMismatch
from roundsmith.hashing import weights_sha256
from roundsmith.models.finite import refuse_not_finite
from roundsmith.models.folder import ModelFolder, check, resolve
from roundsmith.models.headers import tensor_shapes
from roundsmith.models.rendering import render
from roundsmith.models.settings import ModelSettings
from roundsmith.types import Prompt

if TYPE_CHECKING:
    import torch

DEFAULT_CONTEXT = 2048
SMALL_PARAMETERS = 20_000_000
"""Below this an operation is too short to share: a second thread gains a fifth on an idle machine,
and halves the speed on a busy one."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """A causal language model, ready for a forward pass.

    `end_ids` end a completion; `end_id` is scored.
    """

    folder: ModelFolder
    model: Any
    tokenizer: Any
    device: "torch.device"
    context_tokens: int
    end_ids: frozenset[int]
    end_id: int | None

    @cached_property
    def vocabulary(self) -> int:
        """Number of rows of the output layer: ids run below it."""
        return int(self.model.get_output_embeddings().weight.shape[0])

    @cached_property
    def is_small(self) -> bool:
        """Whether an operation is too short to be worth a second thread, or a row alone."""
        return bool(sum(p.numel() for p in self.model.parameters()) < SMALL_PARAMETERS)

    @property
    def weights_sha256(self) -> str:
        return self.folder.weights_sha256

    def computes_like(self, other: "LoadedModel") -> bool:
        """Whether the two differ in nothing but numbers."""
        mine, its = (
            {name: (p.shape, p.dtype) for name, p in one.model.named_parameters()}
            for one in (self, other)
        )
        return type(self.model) is type(other.model) and mine == its

    @property
    def has_chat_template(self) -> bool:
        return self.tokenizer.chat_template is not None

    def render(self, prompt: Prompt) -> list[int]:
        """The prompt's token ids; see `rendering.render` for what it refuses."""
        return render(self.tokenizer, prompt, self.vocabulary, self.context_tokens)


def load(settings: ModelSettings) -> LoadedModel:
    """Resolve and load the configured model; `folder.commit` is what a hub id was resolved to.

    Raises ConfigError for a folder that cannot be served, with what was seen, what was expected and
    a remedy.
    """
    folder = resolve(settings.model, settings.revision, settings.trust_remote_code)
    return load_folder(folder, settings)


def load_checked(path: Path, sha256: str, settings: ModelSettings) -> LoadedModel:
    """Load a folder whose weight version must be `sha256`; WeightsMismatch when it is another."""
    check(path, settings.trust_remote_code)
    seen = weights_sha256(path)
    if seen != sha256:
        raise WeightsMismatch(
            f"{path}: its weight version is {seen}, expected {sha256}: "
            "the folder is another one, or not completely written; name the right one"
        )
    return load_folder(ModelFolder(str(path), path, "", seen), settings)


def load_folder(folder: ModelFolder, settings: ModelSettings) -> LoadedModel:
    """The model of a folder that `resolve` gave.

    Raises ConfigError when it does not load whole and finite.
    """
    import torch

    device = torch.device(served_device(settings.device))
    model = _load_weights(folder, settings, device)
    tokenizer, config = load_tokenizer(folder, settings), model.config.get_text_config()
    generation_ends = model.generation_config.eos_token_id
    ends = {
        tokenizer.eos_token_id,
        *(generation_ends if isinstance(generation_ends, list) else [generation_ends]),
    }
    ends.discard(None)
    loaded = LoadedModel(
        folder=folder,
        model=model,
        tokenizer=tokenizer,
        device=device,
        context_tokens=context_tokens(config, settings.context_tokens, alone_tokens(config)),
        end_ids=frozenset(ends),
        end_id=tokenizer.eos_token_id
        if tokenizer.eos_token_id is not None
        else min(ends, default=None),
    )
    _probe(loaded)
    logger.info("loaded %s, weights %s, on %s", folder.name, folder.weights_sha256[:12], device)
    return loaded


def served_device(device: str) -> str:
    """The torch device that a setting means on this machine."""
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def served_dtype(dtype: str, device: str, num_parameters: int, quantized: bool = False) -> str:
    """The type that weights are served in; `auto` does not look at the one they are stored in,
    because training stores float32 whatever it began with, and both are compared. What multiplies
    `quantized` ones takes 16 bits, and on a CPU without units for these 32, too.
    """
    if dtype != "auto":
        return dtype
    on_plain_cpu = device.startswith("cpu") and not has_bfloat16_units()
    small = num_parameters < SMALL_PARAMETERS and not quantized
    return "float32" if on_plain_cpu or small else "bfloat16"


def use_threads(settings: ModelSettings, loaded: LoadedModel) -> None:
    """Set the number of threads of one torch operation, for operations of the calling thread."""
    import torch

    torch.set_num_threads(settings.threads or (1 if loaded.is_small else cpu_count()))


def _load_weights(folder: ModelFolder, settings: ModelSettings, device: "torch.device") -> Any:
    import torch
    import transformers
    from safetensors import SafetensorError

    quiet: Any = transformers.utils.logging.disable_progress_bar
    quiet()
    try:
        # not by a later .to(dtype), which would round the rotary frequencies too
        stored = stored_parameters(folder.path)
        dtype = getattr(torch, served_dtype(settings.dtype, device.type, stored))
        model: Any
        report: dict[str, Any]
        model, report = transformers.AutoModelForCausalLM.from_pretrained(  # type: ignore[misc]  # two values with output_loading_info
            folder.path,
            dtype=dtype,
            attn_implementation="sdpa",
            use_safetensors=True,
            trust_remote_code=settings.trust_remote_code,
            output_loading_info=True,
        )
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        raise ConfigError(
            f"{folder.path}: the weights do not load ({error}): expected a whole causal language "
            "model that this version of transformers knows; save or download it again"
        ) from error
    if report["missing_keys"]:
        raise ConfigError(
            f"{folder.path}: the weights lack {sorted(report['missing_keys'])[:4]}: expected "
            "every tensor of the architecture in config.json; save the whole model again"
        )
    attend_whole(model)
    model.eval().requires_grad_(False).to(device)
    if device.type == "cpu":
        for tensor in (*model.parameters(), *model.buffers()):
            # else it is a part of the mapped file, and whoever writes that changes what is served
            tensor.data = tensor.data.clone()
    return model


def attend_whole(model: Any) -> None:
    """Has a model that caps the scores of its attention (Gemma 2) attend in steps, which keeps the
    cap; the fused kernels drop it.
    """
    if caps_scores(model.config):
        model.set_attn_implementation("eager")


def caps_scores(config: Any) -> bool:
    """Whether attention does more to its scores than a kernel that is not the model's own does."""
    return bool(getattr(config.get_text_config(), "attn_logit_softcapping", None))


def stored_parameters(path: Path) -> int:
    """Numbers in a folder's safetensors files, by their headers."""
    return sum(map(math.prod, tensor_shapes(path).values()))


def load_tokenizer(folder: ModelFolder, settings: ModelSettings) -> Any:
    """The tokenizer of a folder; ConfigError where there is none."""
    import transformers

    try:
        return transformers.AutoTokenizer.from_pretrained(
            folder.path, trust_remote_code=settings.trust_remote_code
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{folder.path}: no tokenizer ({str(error).splitlines()[0]}): "
            "expected tokenizer.json beside the weights; save the tokenizer with save_pretrained"
        ) from error


def alone_tokens(config: Any) -> int:
    """The longest text whose numbers do not depend on what is computed beside it, and which sees
    all that it attends to; 0 is any.

    Of longrope (Phi-3) transformers chooses the factors by the longest text of a forward pass; a
    chunk of attention (Llama 4) begins anew at a multiple of its length.
    """
    found: list[Any] = []
    original, ropes = "original_max_position_embeddings", getattr(config, "rope_parameters", None)
    for rope in (ropes, *ropes.values()) if isinstance(ropes, dict) else ():
        if isinstance(rope, dict) and rope.get("rope_type") == "longrope":
            found.append(rope.get(original) or getattr(config, original, None))
    if "chunked_attention" in (getattr(config, "layer_types", None) or ()):
        found.append(getattr(config, "attention_chunk_size", None))
    return min((int(tokens) for tokens in found if tokens), default=0)


def context_tokens(config: Any, asked: int, most: int = 0) -> int:
    """Longest prompt and completion of a model, and at most `most` where that is not 0;
    ConfigError when more is asked for.
    """
    made_for = int(getattr(config, "max_position_embeddings", None) or DEFAULT_CONTEXT)
    made_for = min(made_for, most) if most else made_for
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ["sliding_attention"])
    if window and kinds != {"full_attention"}:
        made_for = min(
            made_for, int(window)
        )  # within the window, sliding attention is plain attention
    if asked > made_for:
        raise ConfigError(
            f"context_tokens: saw {asked}, expected at most {made_for}, which the model was made "
            "for"
        )
    return asked or made_for


def _probe(loaded: LoadedModel) -> None:
    import torch

    refuse_not_finite(loaded.folder.path, loaded.model.named_parameters())
    with torch.inference_mode():
        logits = loaded.model(
            input_ids=torch.zeros(1, 1, dtype=torch.long, device=loaded.device)
        ).logits
    if not bool(torch.isfinite(logits).all()):
        raise ConfigError(
            f"{loaded.folder.path}: a forward pass gave numbers that are not finite, expected "
            "finite ones: "
            "the checkpoint is damaged or diverged in training; name an earlier one"
        )
    if len(loaded.tokenizer) > loaded.vocabulary:
        raise ConfigError(
            f"{loaded.folder.path}: the tokenizer has {len(loaded.tokenizer)} tokens, the model "
            f"{loaded.vocabulary}: "
            "expected the tokenizer that the model was trained with"
        )
