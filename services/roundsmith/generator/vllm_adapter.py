"""The only module that knows vLLM's own names: how it is started, asked, and how it fails."""

import logging
import os
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundsmith.config import prepare_vllm, sums_bytes_exactly, vllm_sockets_in
from roundsmith.errors import ConfigError, EngineError, RoundsmithError, Unavailable
from roundsmith.generator.adapters import Loaded
from roundsmith.generator.model_info import adapted_version
from roundsmith.generator.settings import VllmSettings
from roundsmith.installing import how_to_install
from roundsmith.leftovers import temporary_folder
from roundsmith.models.folder import quantization
from roundsmith.models.loading import served_device, served_dtype, stored_parameters
from roundsmith.models.text import ModelText
from roundsmith.types import GenerateItem, TopLogprobs

logger = logging.getLogger(__name__)
CONSTRAINT_KINDS = ("regex", "json_schema", "grammar")
_CPU_KV_CACHE_GIB = 1.0
_CPU_BLOCK_TOKENS = 32
"""Prompts are shared in blocks; the build's own 128 would share hardly any."""
_SHUTDOWN_S = 3.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """What vLLM drew of one completion since it last told; `ended` is empty until the last."""

    token_ids: Sequence[int]
    logprobs: Sequence[float]
    tops: Sequence[TopLogprobs]
    ended: str = ""
    versions: tuple[str, ...] = ()
    """The weight versions of all its tokens, once it has ended."""

    def version(self, adapter: Loaded | None) -> str:
        """The one weight version of a completion that has ended, with that of its adapter."""
        if len(set(self.versions)) != 1:
            raise EngineError(
                f"expected a completion of one weight version, saw {self.versions}: send it again"
            )
        base = self.versions[0]
        return base if adapter is None else adapted_version(base, adapter.sha256)


@dataclass(frozen=True)
class Started:
    """A running engine, and how it computes."""

    llm: Any
    dtype: str
    batch_invariant: bool
    scratch: "tempfile.TemporaryDirectory[str]"
    """The sockets of its processes, and whatever else goes with it."""


def start(settings: VllmSettings, text: ModelText) -> Started:
    """Starts the engine's processes, which takes half a minute. ConfigError when it refuses."""
    if settings.device not in ("auto", "cpu", "cuda"):
        raise ConfigError(
            f"device: saw {settings.device!r}, expected auto with the vllm engine: choose devices "
            "by CUDA_VISIBLE_DEVICES"
        )
    # on a CPU the mode has no kernels, and would end the engine at its first step
    invariant = settings.reproducible and served_device(settings.device).startswith("cuda")
    prepare_vllm(settings.threads, invariant)
    try:
        import vllm.envs as envs
        from vllm.platforms import current_platform
        from vllm.v1.engine.async_llm import AsyncLLM
    except ImportError as error:
        raise ConfigError(
            f"engine vllm: it can not be imported ({error}): choose --engine transformers, or "
            f"install it: {how_to_install('vllm')}"
        ) from error
    on_cpu = bool(current_platform.is_cpu())
    dtype = served_dtype(
        settings.dtype,
        "cpu" if on_cpu else "cuda",
        stored_parameters(text.folder.path),
        quantized=bool(settings.quantization or quantization(text.folder.path)),
    )
    scratch = temporary_folder("vllm")
    try:
        with vllm_sockets_in(scratch.name):
            llm = AsyncLLM.from_engine_args(_arguments(settings, text, dtype, on_cpu))
    except (ValueError, RuntimeError, OSError, NotImplementedError) as error:
        scratch.cleanup()
        raise ConfigError(
            f"{settings.model}: vLLM does not serve it ({error}): expected a model and settings "
            "that it takes; its own log is above"
        ) from error
    invariant = bool(envs.VLLM_BATCH_INVARIANT) and bool(current_platform.is_cuda())
    return Started(llm, dtype, invariant, scratch)


def _arguments(settings: VllmSettings, text: ModelText, dtype: str, on_cpu: bool) -> Any:
    from vllm.engine.arg_utils import AsyncEngineArgs

    gib = settings.kv_cache_gib or (_CPU_KV_CACHE_GIB if on_cpu else 0)
    # Beside those that have a name, a version that is being replaced. And the last place stays
    # empty: the CPU build computes rows without an adapter with what lies there.
    places = settings.max_adapters + 2
    adapters = {
        "enable_lora": True,
        "max_loras": places,
        "max_cpu_loras": places,
        "max_lora_rank": settings.max_adapter_rank,
    }
    return AsyncEngineArgs(
        model=str(text.folder.path),
        trust_remote_code=settings.trust_remote_code,
        dtype=dtype,
        quantization=settings.quantization,
        max_model_len=text.context_tokens,
        max_num_seqs=settings.slots,
        tensor_parallel_size=settings.tensor_parallel,
        kv_cache_memory_bytes=round(gib * 2**30) or None,
        gpu_memory_utilization=settings.memory_share,
        block_size=_CPU_BLOCK_TOKENS if on_cpu else None,
        enforce_eager=on_cpu,  # compiling costs minutes there, and gains little
        enable_prefix_caching=True,
        generation_config="vllm",  # an item says all there is to say
        disable_log_stats=True,
        max_logprobs=20,
        worker_extension_cls="roundsmith.generator.vllm_worker.RankWeights",
        **(adapters if settings.max_adapters else {}),
    )


def parameters(item: GenerateItem, seed: int, limit: int, end_ids: frozenset[int]) -> Any:
    """How one completion is drawn. Text is made from its tokens later; vLLM makes it only to look
    for stop strings. ConfigError for what vLLM refuses.
    """
    with engine_errors():
        return _parameters(item, seed, limit, end_ids)


def _parameters(item: GenerateItem, seed: int, limit: int, end_ids: frozenset[int]) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    sampling, constraint = item.sampling, item.sampling.constraint
    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        min_p=sampling.min_p,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        repetition_penalty=sampling.repetition_penalty,
        stop=list(sampling.stop),
        stop_token_ids=sorted(end_ids),
        detokenize=bool(sampling.stop),
        seed=seed if sampling.temperature else None,
        max_tokens=limit,
        logprobs=item.top_logprobs,
        flat_logprobs=True,
        output_kind=RequestOutputKind.DELTA if item.deltas else RequestOutputKind.FINAL_ONLY,
        skip_clone=True,
        structured_outputs=None
        if constraint is None
        else StructuredOutputsParams(
            regex=constraint.regex, json=constraint.json_schema, grammar=constraint.grammar
        ),
    )


async def draw(
    llm: Any, prompt: Sequence[int], params: Any, request_id: str, adapter: Loaded | None
) -> AsyncGenerator[Drawn]:
    """One completion, in parts or as a whole. Closing the iterator aborts it in the engine."""
    from vllm.inputs import tokens_input

    with engine_errors():
        outputs = llm.generate(
            tokens_input(list(prompt)), params, request_id, lora_request=lora_request(adapter)
        )
        async with aclosing(outputs):
            async for output in outputs:
                (one,) = output.outputs
                yield _drawn(one, params.logprobs)


def plainly(
    llm: Any, name: str, prompt: Sequence[int], most: int, *, deltas: bool
) -> AsyncGenerator[Any]:
    """AsyncLLM as its own users drive it: text, token ids and log-probabilities of a greedy
    completion.
    """
    from vllm import SamplingParams
    from vllm.inputs import tokens_input
    from vllm.sampling_params import RequestOutputKind

    kind = RequestOutputKind.DELTA if deltas else RequestOutputKind.FINAL_ONLY
    params = SamplingParams(temperature=0.0, max_tokens=most, logprobs=0, output_kind=kind)
    outputs: AsyncGenerator[Any] = llm.generate(tokens_input(list(prompt)), params, name)
    return outputs


def _drawn(output: Any, num_tops: int) -> Drawn:
    flat = output.logprobs
    starts = flat.start_indices if flat is not None else ()
    tops = [
        TopLogprobs(
            tuple(flat.token_ids[start + 1 : start + 1 + num_tops]),
            tuple(flat.logprobs[start + 1 : start + 1 + num_tops]),
        )
        for start in (starts if num_tops else ())
    ]
    versions = tuple(span.version for span in output.weight_versions or ())
    return Drawn(
        output.token_ids,
        [flat.logprobs[start] for start in starts],
        tops,
        output.finish_reason or "",
        versions,
    )


def lora_request(adapter: Loaded | None) -> Any:
    """An adapter as vLLM names it; None for none."""
    if adapter is None:
        return None
    from vllm.lora.request import LoRARequest

    return LoRARequest(f"{adapter.name}/{adapter.number}", adapter.number, str(adapter.folder))


@contextmanager
def engine_errors() -> Iterator[None]:
    """vLLM's errors as ours."""
    from vllm.exceptions import VLLMClientError
    from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

    try:
        yield
    except VLLMClientError as error:
        raise ConfigError(f"{error}: vLLM refused the item") from error
    except EngineDeadError as error:
        raise Unavailable("the engine died: send the item to another replica") from error
    except EngineGenerateError as error:
        raise _generate_error(error.__cause__ or error) from error


def _generate_error(cause: BaseException) -> RoundsmithError:
    if isinstance(cause, ValueError):
        return ConfigError(f"{cause}: vLLM refused the item")
    return EngineError(f"vLLM failed on the item: {type(cause).__name__}: {cause}")


async def begin(llm: Any, version: str) -> None:
    """Tells the engine and its ranks which weights they started with, and to end with this
    process. Logs what makes their numbers doubtful. ConfigError where a CPU does not compute with
    them.
    """
    await llm.update_weight_version(version)
    found = await llm.collective_rpc("roundsmith_begin", args=(version, os.getpid()))
    wrong, name = (next(filter(None, said), "") for said in zip(*found, strict=True))
    if wrong:
        raise ConfigError(
            f"{wrong}: expected weights and a --dtype that this processor computes with: leave "
            "--dtype out, or name another one"
        )
    if name and not sums_bytes_exactly():
        logger.warning(
            "%s multiplies numbers of eight bits, and this processor has no instruction that adds "
            "their products exactly (VNNI, AMX or ARM's dot product): large sums are cut, so "
            "log-probabilities are off by tenths where weights use all eight bits; serve it on "
            "another processor or a GPU, or serve weights of full precision",
            name,
        )


async def load(llm: Any, folder: Path, version: str) -> None:
    """Loads weights on every rank of an engine that is paused. ConfigError when they are no good;
    then the ranks have some of them.
    """
    try:
        found = await llm.collective_rpc("roundsmith_load", args=(str(folder), version))
    except Exception as error:  # vLLM tells what a rank raised as a plain Exception
        raise ConfigError(f"{folder}: the weights do not load: {error}") from error
    if wrong := next(filter(None, found), None):
        raise ConfigError(f"{folder}: {wrong}")
    await llm.update_weight_version(version)


def shut_down(llm: Any) -> None:
    """Ends the engine's processes, once: vLLM would do so again when the interpreter has taken its
    modules apart, and fail with a trace in the log.
    """
    llm.shutdown(timeout=_SHUTDOWN_S)
    llm.shutdown = lambda timeout=None: None
