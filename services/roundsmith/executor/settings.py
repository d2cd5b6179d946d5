"""What an executor is started with, and the worker of a sandbox pod."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from roundsmith.config import Settings, cpu_count

Tier = Literal["T1", "T2", "T3"]
ATTACH_DEADLINE_S = 86_400.0
"""Every call has a deadline; that of a supervisor's stream is far beyond its recycling."""


class ExecutorSettings(Settings):
    """The pool: where sandboxes are, how many runs at once, which isolation at least, how large an
    item may be.
    """

    pool: Literal["local", "pods"] = "local"
    """`local`: processes of this machine; `pods`: supervisors in the pods at `sandboxes`."""
    sandboxes: str = Field(default="", pattern=r"^$|^[^\s/,]+:[0-9]{1,5}(,[^\s/,]+:[0-9]{1,5})*$")
    """HOST:PORT of the pods' workers, several by commas. A name that resolves to many, such as that
    of a headless Service, spreads the slots over them.
    """
    slots: int = Field(default_factory=cpu_count, ge=1, le=256)
    """Runs at once, over all pods."""
    floor: Tier | None = None
    """Refuse to serve when the kernel keeps less than this; None is T2 for local processes that may
    have it, and T1 for pods.
    """
    highest: Tier = "T2"
    """Do not try for more than this: T1 leaves namespaces out."""
    launcher: Literal["c", "python"] = "c"
    """What starts programs: `c` is faster, where it was compiled at install; `python` does the same
    steps and is what `c` falls back to.
    """
    profiles: tuple[str, ...] = ()
    """Offer only these; none means all that every sandbox has."""
    max_cells: int = Field(default=1_000_000, ge=1)
    max_cells_under_way: int = Field(default=4_000_000, ge=1)
    """Items that would make it more are refused for now; one caller may have half of it."""
    max_program_bytes: int = Field(default=2**20, ge=1)
    rerun_share: float = Field(default=0.01, ge=0, le=1)
    """Of the cells which passed beside others, the share that is run again alone, to see whether
    they pass by themselves; an item may say otherwise.
    """
    cache_bytes: int = Field(default=64 * 2**20, ge=0)
    """What is kept of cells that were run, so that none is run twice for one caller; 0 runs every
    cell, also those that are in one item twice.
    """
    cache_s: float = Field(default=600.0, gt=0)
    """How long that is kept."""
    uid_base: int = Field(default=1_879_048_192, ge=1)
    """First of the user numbers for slots, two each, where supervisors run as root."""
    attempts: int = Field(default=10, ge=1)
    """How often a run is tried when the sandbox fails in it; then its cells are INFRA_ERROR."""
    canary_s: float = Field(default=0.25, gt=0)
    """Outcomes wait for the next canary of their slot: it comes when the slot has nothing else to
    do, after so many seconds, or after `canary_runs` runs.
    """
    canary_runs: int = Field(default=256, ge=1)
    attach_s: float | None = Field(default=None, gt=0)
    """How long a pod that starts a supervisor is waited for, at start and after a loss; cells are
    INFRA_ERROR when none has started for so long after a first failure. None is a minute for pods,
    and 5 seconds for local processes, which nobody has to make room for.
    """
    recycle_s: float = Field(default=1800.0, gt=0, lt=ATTACH_DEADLINE_S / 2)
    """An idle supervisor of a pod that is older is replaced, so that pods added later get work."""
    recycle_runs: int = Field(default=100_000, ge=1)
    """A local supervisor, and a pod of a `deployment`, is replaced after so many runs."""
    deployment: str = Field(default="", pattern=r"^$|^[a-z0-9.-]+/[a-z0-9.-]+$")
    """NAMESPACE/NAME of the Deployment of the pods, whose size then follows the queue between
    `min_pods` and `max_pods`; empty leaves the pods alone.
    """
    min_pods: int = Field(default=1, ge=1)
    max_pods: int = Field(default=1, ge=1)
    pod_idle_s: float = Field(default=300.0, gt=0)
    """For so long fewer pods must have been enough before one goes."""

    @property
    def least(self) -> Tier:
        """The tier below which nothing is served."""
        return self.floor or ("T2" if self.pool == "local" and self.highest != "T1" else "T1")

    @property
    def start_s(self) -> float:
        """How long a supervisor that does not start is tried for."""
        return self.attach_s or (60.0 if self.pool == "pods" else 5.0)

    @model_validator(mode="after")
    def _consistent(self) -> "ExecutorSettings":
        if (self.pool == "pods") != bool(self.sandboxes):
            raise ValueError(
                f"pool {self.pool}: expected sandboxes with the pool `pods` and only there, "
                f"saw {self.sandboxes!r}"
            )
        if self.max_cells > self.max_cells_under_way // 2:
            raise ValueError(
                f"max_cells {self.max_cells}: expected at most half of max_cells_under_way, saw "
                f"{self.max_cells_under_way}: a caller could never ask for such an item twice"
            )
        if self.min_pods > self.max_pods:
            raise ValueError(f"min_pods {self.min_pods}: expected at most max_pods {self.max_pods}")
        return self


class SandboxWorkerSettings(Settings):
    """The worker in a sandbox pod."""

    socket: Path
    """Where it listens for the sandbox container, in a directory that both containers mount."""
    max_supervisors: int = Field(default=32, ge=1, le=256)
    """Supervisors at once; more are refused."""
    connect_s: float = Field(default=60.0, gt=0)
    """How long the sandbox container is waited for at start."""
