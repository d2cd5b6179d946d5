"""What `roundsmith serve` asks of every service, of those with weights, and of those with a
model.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

_TLS = "TLS"
_WEIGHTS = "Weights"
_ENGINE = "Engine"


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
        typer.Option(
            help="Where traces are sent by OTLP, http://HOST:4317; needs roundsmith[otel]."
        ),
    ] = None
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            help="PEM file. Replaced files are served to connections that open later.",
            rich_help_panel=_TLS,
        ),
    ] = None
    tls_key: Annotated[Path | None, typer.Option(help="PEM file.", rich_help_panel=_TLS)] = None
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(
            help="PEM file: only callers with a certificate of this authority are let in.",
            rich_help_panel=_TLS,
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Admin:
    """Where the owner of the weights calls; fields of ServeSettings too."""

    admin_port: Annotated[
        int, typer.Option(help="Where weights are swapped.", rich_help_panel=_WEIGHTS)
    ] = 0
    admin_subjects: Annotated[
        list[str] | None,
        typer.Option(
            "--admin-subject",
            help="A name in the certificate of who may call there (again for more; needs "
            "--tls-client-ca); everybody by default.",
            rich_help_panel=_WEIGHTS,
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Weights:
    """Where other weights come from."""

    storage_root: Annotated[
        str | None,
        typer.Option(
            help="Folder or URL (s3://bucket/prefix) that new weights may come from.",
            rich_help_panel=_WEIGHTS,
        ),
    ] = None
    weights_cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder of this service alone that weights from a URL are copied to; the last two "
            "are kept. A temporary one by default.",
            rich_help_panel=_WEIGHTS,
        ),
    ] = None
    weights_record: Annotated[
        str | None,
        typer.Option(
            help="File or URL that keeps which weights are served, the same for all replicas: one "
            "that starts later serves them too.",
            rich_help_panel=_WEIGHTS,
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
        typer.Option(
            help="`transformers`, or `vllm` where it is installed.", rich_help_panel=_ENGINE
        ),
    ] = "transformers"
    slots: Annotated[
        int | None,
        typer.Option(
            help="Sequences decoded at once.",
            show_default="32, vllm: 256",
            rich_help_panel=_ENGINE,
        ),
    ] = None
    max_waiting: Annotated[
        int | None,
        typer.Option(
            help="Completions that may wait for a slot; more are refused with a time to retry.",
            show_default="8192",
            rich_help_panel=_ENGINE,
        ),
    ] = None
    context_tokens: Annotated[
        int | None,
        typer.Option(
            help="Longest prompt and completion together.",
            show_default="the model's",
            rich_help_panel=_ENGINE,
        ),
    ] = None
    max_adapters: Annotated[
        int | None,
        typer.Option(
            help="Adapters (LoRA) that may be loaded at once.",
            show_default="8, vllm: 0",
            rich_help_panel=_ENGINE,
        ),
    ] = None
    max_adapter_rank: Annotated[
        int | None,
        typer.Option(
            help="vllm: their largest rank, of 8, 16, 32 to 512.",
            show_default="64",
            rich_help_panel=_ENGINE,
        ),
    ] = None
    tensor_parallel: Annotated[
        int | None,
        typer.Option(
            help="vllm: devices that the model is spread over.",
            show_default="1",
            rich_help_panel=_ENGINE,
        ),
    ] = None
    quantization: Annotated[
        str | None,
        typer.Option(help="vllm: a method that it knows, such as fp8.", rich_help_panel=_ENGINE),
    ] = None
    kv_cache_gib: Annotated[
        float | None,
        typer.Option(
            help="vllm: memory for keys and values.",
            show_default="what --memory-share leaves; on a CPU 1",
            rich_help_panel=_ENGINE,
        ),
    ] = None
    memory_share: Annotated[
        float | None,
        typer.Option(
            help="vllm: share of a GPU's memory that it takes.",
            show_default="0.9",
            rich_help_panel=_ENGINE,
        ),
    ] = None
    reproducible: Annotated[
        bool | None,
        typer.Option(
            "--reproducible/--fast",
            help="vllm: batch-invariant arithmetic where the device has it, or faster.",
            show_default="reproducible",
            rich_help_panel=_ENGINE,
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
