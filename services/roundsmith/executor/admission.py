"""Every sandbox is probed once, before the first program runs in it."""

import asyncio

from roundsmith.executor import probe
from roundsmith.executor.capabilities import IsolationCheck
from roundsmith.executor.supervisor import Supervisor


class Admission:
    """Which tier each sandbox holds; `weakest` are the checks of the one that holds least."""

    def __init__(self, floor: str) -> None:
        self._floor = floor
        self._tier_by_sandbox: dict[str, str] = {}
        self._probing = asyncio.Lock()
        self.weakest: tuple[IsolationCheck, ...] = ()

    async def tier(self, supervisor: Supervisor) -> str:
        """The tier of the supervisor's sandbox. Raises IsolationFloor when it holds less than the
        floor, SandboxError when it can not be told.
        """
        sandbox_id = supervisor.started.sandbox_id
        async with self._probing:
            if sandbox_id not in self._tier_by_sandbox:
                checks = await probe.probe(supervisor)
                probe.require(self._floor, checks, sandbox_id)
                if not self.weakest or probe.tier(checks) < probe.tier(self.weakest):
                    self.weakest = checks
                self._tier_by_sandbox[sandbox_id] = probe.tier(checks)
        return self._tier_by_sandbox[sandbox_id]
