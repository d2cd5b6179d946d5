"""Every supervisor is probed before the first program runs in it: it must hold what its sandbox
held before, and compute what others of its image do.
"""

from roundsmith.errors import SandboxError
from roundsmith.executor import probe
from roundsmith.executor.capabilities import IsolationCheck
from roundsmith.executor.probe import Seen
from roundsmith.executor.supervisor import Supervisor


class Admission:
    """Which tier each sandbox holds; `weakest` are the checks of the one that holds least."""

    def __init__(self, floor: str) -> None:
        self._floor = floor
        self._tier_by_sandbox: dict[str, str] = {}
        self._computed_by_image: dict[str, str] = {}
        self.weakest: tuple[IsolationCheck, ...] = ()

    async def admit(self, supervisor: Supervisor) -> Seen:
        """What the supervisor's first canary saw. Raises IsolationFloor when it holds less than the
        floor, SandboxError when it holds less than its sandbox did, or when it can not be told.
        """
        sandbox_id = supervisor.started.sandbox_id
        seen = await probe.probe(supervisor, count_threads=True)
        held = probe.tier(seen.checks)
        probe.require(self._floor, seen.checks, sandbox_id)
        before = self._tier_by_sandbox.setdefault(sandbox_id, held)
        if held < before:
            broken = [f"{c.name} ({c.detail})" for c in seen.checks if not c.holds]
            raise SandboxError(
                f"isolation {held} holds in a supervisor on {sandbox_id}, expected {before} as "
                f"before; not held: {'; '.join(broken)}"
            )
        computed = seen.surroundings.get("computing", "nothing")
        expected = self._computed_by_image.setdefault(supervisor.started.image, computed)
        if computed != expected:
            raise SandboxError(
                f"a fixed computation gave {computed} on {sandbox_id}, expected {expected} as in "
                f"another supervisor of image {supervisor.started.image}"
            )
        if not self.weakest or held < probe.tier(self.weakest):
            self.weakest = seen.checks
        return seen
