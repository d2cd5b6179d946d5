"""What an executor is started with."""

from typing import Literal

from pydantic import Field

from roundsmith.config import Settings, cpu_count

Tier = Literal["T1", "T2", "T3"]


class ExecutorSettings(Settings):
    """The local pool: how many runs at once, which isolation at least, how large an item may be."""

    slots: int = Field(default_factory=cpu_count, ge=1, le=256)
    floor: Tier = "T1"
    """Refuse to serve when the kernel keeps less than this."""
    highest: Tier = "T2"
    """Do not try for more than this: T1 leaves namespaces out."""
    profiles: tuple[Literal["base"], ...] = ("base",)
    max_cells: int = Field(default=1_000_000, ge=1)
    max_program_bytes: int = Field(default=2**20, ge=1)
    uid_base: int = Field(default=1_879_048_192, ge=1)
    """First of the user numbers for slots, two each, where the executor runs as root."""
    attempts: int = Field(default=3, ge=1)
    """How often a run is tried when the sandbox fails; then its cells are INFRA_ERROR."""
