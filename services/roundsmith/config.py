"""Settings that all services share, and the only place that reads environment variables."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """The base of every settings class: frozen, and a key that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ServeSettings(Settings):
    """How a service listens, and what it grants a caller."""

    host: str = "127.0.0.1"
    port: int = Field(0, ge=0, le=65535)
    """0 picks a free port; the ready file tells which."""
    admin_port: int = Field(0, ge=0, le=65535)
    """Where the owner of the weights calls; only services with weights listen on it."""
    metrics_port: int | None = Field(None, ge=0, le=65535)
    """Where Prometheus reads /metrics and a kubelet /ready, in plain text; none means nowhere."""
    max_deadline_s: float = Field(3600.0, gt=0)
    """A longer deadline is refused, and so is none."""
    max_items_in_flight: int = Field(1024, gt=0)
    """Items of one stream that are worked on at once; more wait unread."""
    result_ttl_s: float = Field(600.0, ge=0)
    """How long a finished item is kept for a caller that asks again."""
    max_results: int = Field(50_000, gt=0)
    """Finished items kept at most, over all callers."""
    max_result_bytes: int = Field(256 * 2**20, ge=0)
    """Size of the results of those items at most, as they are encoded."""
    drain_s: float = Field(10.0, ge=0)
    """How long calls in flight may go on after SIGTERM."""
    reflection: bool = True
    max_message_bytes: int = Field(64 * 2**20, gt=0)
    log_format: Literal["text", "json"] = "text"
    """`json` is one object a line, with the ids of the request, the item and the trace."""
    otlp_endpoint: str | None = None
    """Where traces are sent, `http://HOST:4317` (`https://` is encrypted); none means nowhere."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """Callers must show a certificate of this authority; their subject names them."""
    admin_subjects: tuple[str, ...] = ()
    """Who may call on the admin port; none means whoever reaches it."""

    @model_validator(mode="after")
    def _consistent(self) -> "ServeSettings":
        """Half a TLS configuration must not mean plain text, nor one port two listeners."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("expected tls_certificate and tls_key together, saw one: give both")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca: expected tls_certificate and tls_key too, saw none")
        if self.admin_subjects and self.tls_client_ca is None:
            raise ValueError("admin_subjects: expected tls_client_ca, which proves them, saw none")
        ports = [p for p in (self.port, self.admin_port, self.metrics_port) if p]
        if len(set(ports)) < len(ports):
            raise ValueError(f"expected ports that differ, saw {ports}: change one (0 is any)")
        return self


class WeightsSettings(Settings):
    """Where a service with weights gets others from."""

    storage_root: str | None = None
    """The folder or URL under which checkpoints may be loaded from; none allows none."""
    cache: Path | None = None
    """Where checkpoints of a URL are copied to, for this process alone; none is a temporary one."""
    record: str | None = None
    """A file at a URL that names the checkpoint served last; a replica starts with that one."""


def cpu_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def has_bfloat16_units() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (three times slower than float32 if not)."""
    flags = Path("/proc/cpuinfo").read_text().split()
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags))


def sums_bytes_exactly() -> bool:
    """Whether this CPU adds products of eight bits in 32 (AVX VNNI, AMX, ARM's dot product). Where
    it does not, oneDNN adds two of them in 16, and a sum that does not fit is cut.
    """
    return bool({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"} & set(processor().split()))


def processor() -> str:
    """Vendor and vector instructions of this CPU: by them torch and its libraries choose how they
    add, so that where they differ the last bits do.
    """
    return processor_of(Path("/proc/cpuinfo").read_text())


def processor_of(told: str) -> str:
    """The same by a text of `/proc/cpuinfo`, of its first core."""
    first = told.strip().partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    vendor = facts.get("vendor_id", facts.get("CPU implementer", ""))
    flags = facts.get("flags", facts.get("Features", "")).split()
    return " ".join([vendor, *sorted(VECTORS & set(flags))]).strip()


VECTORS = frozenset(
    {
        *("avx", "avx2", "fma", "f16c", "avx_vnni", "avx_ne_convert", "avx_vnni_int8"),
        *("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx512ifma", "avx512vbmi"),
        *("avx512_vbmi2", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx512_bitalg"),
        *("amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
        *("asimd", "asimdhp", "asimddp", "asimdfhm", "fphp", "bf16", "i8mm"),
        *("sve", "sve2", "svebf16", "svei8mm", "sme"),
    }
)
"""Instructions that torch, MKL, oneDNN and their like look for, by Linux's names."""


def offline() -> bool:
    """Whether model hubs may not be asked (HF_HUB_OFFLINE)."""
    return os.environ.get("HF_HUB_OFFLINE", "") in {"1", "true", "TRUE"}


def child_environment(**extra: str) -> dict[str, str]:
    """The environment of a process that Roundsmith starts: the user's own, who starts it, and what
    is named.
    """
    return {**os.environ, "ROUNDSMITH_PARENT_PID": str(os.getpid()), **extra}


def parent_pid() -> int | None:
    """The Roundsmith process that started this one (ROUNDSMITH_PARENT_PID), or None."""
    given = os.environ.get("ROUNDSMITH_PARENT_PID", "")
    return int(given) if given.isdecimal() else None


def owning_job() -> tuple[str, str] | None:
    """Name and uid of the Kubernetes Job that this process is in the pod of (ROUNDSMITH_JOB_NAME,
    ROUNDSMITH_JOB_UID), or None.
    """
    name, uid = (os.environ.get(f"ROUNDSMITH_JOB_{part}", "") for part in ("NAME", "UID"))
    return (name, uid) if name and uid else None


def own_pod() -> str:
    """The uid of the Kubernetes pod that this process is in (ROUNDSMITH_POD_UID), or nothing."""
    return os.environ.get("ROUNDSMITH_POD_UID", "")


def prepare_vllm(threads: int, batch_invariant: bool) -> None:
    """Before vLLM is imported: it asks nobody outside, logs warnings only, and computes as asked.

    What the user has set stands. `threads` 0 leaves the choice to vLLM.
    """
    for name, value in (
        ("VLLM_NO_USAGE_STATS", "1"),
        ("VLLM_LOGGING_LEVEL", "WARNING"),
        ("VLLM_BATCH_INVARIANT", "1" if batch_invariant else "0"),
    ):
        os.environ.setdefault(name, value)
    if threads:
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))


@contextmanager
def vllm_sockets_in(folder: str) -> Iterator[None]:
    """An engine that is started meanwhile keeps its sockets there, unless the user says where: it
    leaves them behind when it ends.
    """
    before = os.environ.get("VLLM_RPC_BASE_PATH")
    os.environ["VLLM_RPC_BASE_PATH"] = before or folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["VLLM_RPC_BASE_PATH"]


def let_threads_sleep() -> None:
    """Before torch is imported: threads that wait sleep, unless the user says otherwise.

    Threads that spin while they wait cost ten times the speed where other processes use the cores.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def repeat_sums() -> None:
    """Before torch multiplies: MKL adds in one order wherever in memory the numbers lie, unless the
    user says otherwise. Where two threads share the work, their memory lies otherwise at each
    length, and the last bit of a sum would follow.
    """
    os.environ.setdefault("MKL_CBWR", REPEATED_SUMS)


REPEATED_SUMS = "AUTO,STRICT"
BITS = (
    *("ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "MKL_DYNAMIC"),
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"),
    *("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"),
    *("OMP_DYNAMIC", "OMP_THREAD_LIMIT"),
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
    *("VLLM_BATCH_INVARIANT", "VLLM_ATTENTION_BACKEND"),
)
"""Variables of a user that decide in which order, width or precision torch, its libraries and vLLM
compute. OMP_NUM_THREADS and MKL_NUM_THREADS do not: the number of threads is a setting.
"""


def bits_asked_for(standing: Mapping[str, str]) -> str:
    """What the environment asks of the arithmetic, as `NAME=VALUE` by name; empty where it asks for
    nothing but what is `standing`.
    """
    asked = {name: os.environ.get(name, standing.get(name, "")) for name in BITS}
    return " ".join(
        f"{name}={value}"
        for name, value in sorted(asked.items())
        if value != standing.get(name, "")
    )


def torch_build() -> str:
    """The version of the torch that is installed here with that of its build, such as `2.13.0+cpu`,
    which the package's own metadata may lack; nothing where there is none. Imports nothing.
    """
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return ""
    told = Path(spec.origin).with_name("version.py").read_text("utf-8")
    found = re.search(r"^__version__ = ['\"]([^'\"]+)", told, re.MULTILINE)
    assert found, "torch tells its version"
    return found[1]
