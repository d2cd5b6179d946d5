"""What `roundsmith serve` asks of every service, of those with weights, and of those with a
model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer


def _in_panel(panel: str) -> Callable[..., Any]:
    """Makes the options of one panel of the help: what they mean, then their names where these are
    not the field's own; `default` is how one that the settings have is shown.
    """

    def option(help_: str, *names: str, default: str | None = None) -> Any:
        shown = True if default is None else default
        return typer.Option(*names, help=help_, show_default=shown, rich_help_panel=panel)

    return option


_tls, _weights, _engine, _scoring = map(_in_panel, ("TLS", "Weights", "Engine", "Scoring"))


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a service listens, and to whom; the fields of ServeSettings that they set."""

    port: Annotated[int, typer.Option(help="0 picks a free one.")] = 0
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is all.")] = "127.0.0.1"
    metrics_port: Annotated[
        int | None,
        typer.Option(help="HTTP port of /metrics for Prometheus and /ready; none by default."),
    ] = None
    drain_s: Annotated[
        float | None,
        typer.Option(
            help="Seconds that calls may go on after SIGTERM; less than the pod's grace period.",
            show_default="10",
        ),
    ] = None
    max_result_bytes: Annotated[
        int | None,
        typer.Option(
            help="Most bytes of results that are kept for callers who ask again.",
            show_default="256 MiB",
        ),
    ] = None
    log_format: Annotated[
        str, typer.Option(help="`text`, or `json`: one object a line, with request and item ids.")
    ] = "text"
    otlp_endpoint: Annotated[
        str | None,
        typer.Option(help="Where traces are sent by OTLP, http://HOST:4317; needs the extra otel."),
    ] = None
    tls_certificate: Annotated[
        Path | None,
        _tls("PEM file. Replaced files are served to connections that open later."),
    ] = None
    tls_key: Annotated[Path | None, _tls("PEM file.")] = None
    tls_client_ca: Annotated[
        Path | None,
        _tls("PEM file: only callers with a certificate of this authority are let in."),
    ] = None


@dataclass(frozen=True, slots=True)
class Admin:
    """Where the owner of the weights calls; fields of ServeSettings too."""

    admin_port: Annotated[int, _weights("Where weights are swapped.")] = 0
    admin_subjects: Annotated[
        list[str] | None,
        _weights(
            "A name in the certificate of who may call there (again for more; needs "
            "--tls-client-ca); everybody by default.",
            "--admin-subject",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Weights:
    """Where other weights come from."""

    storage_root: Annotated[
        str | None,
        _weights("Folder or URL (s3://bucket/prefix) that new weights may come from."),
    ] = None
    weights_cache: Annotated[
        Path | None,
        _weights(
            "Folder of this service alone that weights from a URL are copied to; the last two "
            "are kept. A temporary one by default."
        ),
    ] = None
    weights_record: Annotated[
        str | None,
        _weights(
            "File or URL that keeps which weights are served, the same for all replicas: one "
            "that starts later serves them too."
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Model:
    """Which model is served, and on what; fields of ModelSettings."""

    model: Annotated[str, typer.Option(help="`lab`, a Hugging Face folder, or a hub id.")] = "lab"
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")] = None
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto"
    device: Annotated[str, typer.Option(help="A torch device; auto is a GPU if any.")] = "auto"
    threads: Annotated[
        int, typer.Option(help="0 is one a core; one for models under 20 M parameters.")
    ] = 0
    trust_remote_code: Annotated[
        bool,
        typer.Option("--trust-remote-code", help="Let the model's repository run code here."),
    ] = False


@dataclass(frozen=True, slots=True)
class Engine:
    """What a generator computes with; fields of its engines' settings. None is the engine's own
    default, and one that another engine has is refused.
    """

    engine: Annotated[
        str,
        _engine("`transformers`, or `vllm` where it is installed."),
    ] = "transformers"
    slots: Annotated[
        int | None,
        _engine("Sequences decoded at once.", default="32, vllm: 256"),
    ] = None
    max_waiting: Annotated[
        int | None,
        _engine(
            "Completions that may wait for a slot; more are refused with a time to retry.",
            default="8192",
        ),
    ] = None
    context_tokens: Annotated[
        int | None,
        _engine("Longest prompt and completion together.", default="the model's"),
    ] = None
    max_adapters: Annotated[
        int | None,
        _engine("Adapters (LoRA) that may be loaded at once.", default="8, vllm: 0"),
    ] = None
    max_adapter_rank: Annotated[
        int | None,
        _engine("vllm: their largest rank, of 8, 16, 32 to 512.", default="64"),
    ] = None
    tensor_parallel: Annotated[
        int | None,
        _engine("vllm: devices that the model is spread over.", default="1"),
    ] = None
    quantization: Annotated[
        str | None,
        _engine("vllm: a method that it knows, such as fp8."),
    ] = None
    kv_cache_gib: Annotated[
        float | None,
        _engine(
            "vllm: memory for keys and values.", default="what --memory-share leaves; on a CPU 1"
        ),
    ] = None
    memory_share: Annotated[
        float | None,
        _engine("vllm: share of a GPU's memory that it takes.", default="0.9"),
    ] = None
    reproducible: Annotated[
        bool | None,
        _engine(
            "vllm: batch-invariant arithmetic where the device has it, or faster.",
            "--reproducible/--fast",
            default="reproducible",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Scoring:
    """How much a scorer does at once, and keeps; fields of ScorerSettings. None is its default."""

    forward_tokens: Annotated[
        int | None,
        _scoring(
            "Tokens of one forward pass, always as many; part of a number.",
            default="512, on a GPU 8192",
        ),
    ] = None
    context_tokens: Annotated[
        int | None,
        _scoring("Longest prompt and completion together.", default="the model's"),
    ] = None
    prefix_bytes: Annotated[
        int | None,
        _scoring(
            "Most bytes of keys and values that are kept of prompts for later completions.",
            default="256 MiB",
        ),
    ] = None
    max_waiting: Annotated[
        int | None,
        _scoring(
            "Items that may wait; more are refused with a time to retry.",
            default="16384",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Process:
    """How a service's process begins and ends."""

    ready_file: Annotated[
        Path | None, typer.Option(help="Written with the addresses when ready.")
    ] = None
    die_with_parent: Annotated[
        bool,
        typer.Option("--die-with-parent", help="End when the process that started this one ends."),
    ] = False
