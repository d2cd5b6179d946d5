"""Canaries: every promise is tried again while a slot serves, and nothing that a slot found is
handed out before the next canary in it was good.

A canary costs about as much as two small programs, so it is due only when the slot has nothing else
to do, or after `canary_s` seconds or `canary_runs` runs; a run is never interrupted for one. What
breaks a promise is ended, and all that it found since its last good canary is asked again.
"""

import time
from typing import Protocol

from roundsmith.errors import SandboxError
from roundsmith.executor import probe
from roundsmith.executor.probe import Seen
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.executor.supervisor import Supervisor
from roundsmith.sandbox.profiles import BASE
from roundsmith.sandbox.runs import Run


class PromiseBroken(SandboxError):
    """A canary saw that a sandbox no longer keeps what it kept before."""

    def __init__(self, promise: str, detail: str) -> None:
        super().__init__(f"the promise {promise} no longer holds: {detail}")
        self.promise = promise


class Finding(Protocol):
    """Something that a slot found: exactly one of the two is called, once."""

    def give(self) -> None:
        """The sandbox has kept its promises since: hand it out."""

    def again(self, error: SandboxError) -> None:
        """It is not known whether the sandbox kept them: ask again elsewhere."""


class Canary:
    """The canaries of one supervisor: one in each profile that has had a run, which must see what
    the first one of the profile saw.
    """

    def __init__(self, supervisor: Supervisor, first: Seen, settings: ExecutorSettings) -> None:
        """`first` is what was seen in `base`."""
        self._supervisor, self._first = supervisor, {BASE: first}
        self._limit_s, self._limit_runs = settings.canary_s, settings.canary_runs
        self._findings: list[Finding] = []
        self._num_runs, self._since, self._several = 0, 0.0, False
        self._profiles: set[str] = set()
        """Those that had a run since the last canary."""

    async def meet(self, profile: str) -> None:
        """Before the first run in a profile: it must keep what `base` keeps. Raises PromiseBroken,
        or SandboxError when that can not be tried.
        """
        if profile in self._first:
            return
        seen = await probe.probe(self._supervisor, True, profile)
        _hold(self._first[BASE], seen, profile)
        self._first[profile] = seen

    def began(self, run: Run) -> None:
        """A run begins."""
        if not self._num_runs:
            self._since = time.monotonic()
        self._num_runs += 1
        self._several |= run.processes > 1
        self._profiles.add(run.profile)

    def hold(self, finding: Finding) -> None:
        """Keeps what a run found until the next canary."""
        self._findings.append(finding)

    @property
    def holds(self) -> bool:
        """Whether anything waits for the next canary."""
        return bool(self._findings)

    @property
    def due(self) -> bool:
        """Whether a canary is due although there is other work."""
        late = time.monotonic() - self._since > self._limit_s
        return self._num_runs > 0 and (late or self._num_runs >= self._limit_runs)

    async def check(self) -> None:
        """Tries everything again, in each profile that had a run, and hands out what was found.
        Raises PromiseBroken, or SandboxError when it can not be tried; what was found is then still
        held.
        """
        for profile in sorted(self._profiles):
            now = await probe.probe(self._supervisor, self._several, profile)
            _compare(self._first[profile], now, profile)
        self._num_runs, self._several = 0, False
        self._profiles.clear()
        findings, self._findings = self._findings, []
        for finding in findings:
            finding.give()

    def distrust(self, error: SandboxError) -> None:
        """Has everything asked again that was found since the last good canary."""
        findings, self._findings = self._findings, []
        for finding in findings:
            finding.again(error)


def _hold(first: Seen, now: Seen, profile: str) -> None:
    """Raises PromiseBroken for a promise that held before, or that `first` did not have, and does
    not hold.
    """
    lost = {check.name for check in first.checks if not check.holds}
    for check in now.checks:
        if not check.holds and check.name not in lost:
            raise PromiseBroken(check.name, f"{check.detail} (profile {profile})")


def _compare(first: Seen, now: Seen, profile: str) -> None:
    """Raises PromiseBroken for a promise that held and does not, or surroundings that changed."""
    _hold(first, now, profile)
    for name, seen in now.surroundings.items():
        before = first.surroundings.get(name)
        if seen != before:
            detail = f"a fresh child of profile {profile} saw {name} {before} at first, now {seen}"
            raise PromiseBroken("no_traces", detail)
