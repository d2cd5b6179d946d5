"""The control loop of the sandbox pods: looks at the queue, at the pods and at what runs in
them, and has Kubernetes make more of them, or take some away.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from roundsmith.errors import PlatformError
from roundsmith.executor.pod_supervisors import PodSupervisors
from roundsmith.executor.sandbox_deployment import SandboxDeployment
from roundsmith.executor.scaling import Bounds, Decision, SandboxPod, decide
from roundsmith.executor.settings import ExecutorSettings

log = logging.getLogger(__name__)

_PERIOD_S = 1.0


class PodScaling:
    """Runs until it is cancelled. An API server that can not be asked is asked again; meanwhile the
    pods that are there serve.
    """

    def __init__(
        self, settings: ExecutorSettings, supervisors: PodSupervisors, demand: Callable[[], int]
    ) -> None:
        """`demand` tells how many runs there are and wait."""
        self._deployment = SandboxDeployment(settings.deployment)
        self._supervisors, self._demand = supervisors, demand
        self._bounds = Bounds(
            least=settings.min_pods,
            most=settings.max_pods,
            slots=-(-settings.slots // settings.max_pods),
            idle_s=settings.pod_idle_s,
            recycle_runs=settings.recycle_runs,
        )
        self._port = settings.sandboxes.rpartition(":")[2]
        self._quiet_since = time.monotonic()
        self._said = ""

    async def run(self) -> None:
        """Looks and decides every second."""
        while True:
            try:
                await self._step()
            except PlatformError as error:
                self._say(str(error))
            await asyncio.sleep(_PERIOD_S)

    async def _step(self) -> None:
        replicas = await asyncio.to_thread(self._deployment.replicas)
        pods = tuple(map(self._known, await asyncio.to_thread(self._deployment.pods)))
        demand = self._demand()
        if demand > (replicas - 1) * self._bounds.slots:
            self._quiet_since = time.monotonic()
        quiet_s = time.monotonic() - self._quiet_since
        decision = decide(pods, replicas, demand, quiet_s, self._bounds)
        draining = {pod.address for pod in pods if pod.name in decision.drain}
        self._supervisors.drain({self._worker(address) for address in draining})
        await asyncio.to_thread(self._carry_out, decision, replicas)
        if decision.replicas < replicas:
            self._quiet_since = time.monotonic()
        if len(pods) < decision.replicas:
            self._say(await asyncio.to_thread(self._deployment.trouble))

    def _known(self, pod: SandboxPod) -> SandboxPod:
        if not pod.address:
            return pod
        seen = self._supervisors.seen(self._worker(pod.address))
        return replace(
            pod, num_runs=seen.num_runs, num_busy=seen.num_busy, condemned=seen.condemned
        )

    def _worker(self, address: str) -> str:
        """HOST:PORT of a pod's worker."""
        return f"[{address}]:{self._port}" if ":" in address else f"{address}:{self._port}"

    def _carry_out(self, decision: Decision, replicas: int) -> None:
        for name in decision.delete:
            log.warning("deleting sandbox pod %s: a canary failed in it", name)
            self._deployment.delete(name)
        if decision.first_to_go:
            self._deployment.prefer(decision.first_to_go)
        if decision.replicas != replicas:
            log.info("sandbox pods: %d, asking for %d", replicas, decision.replicas)
            self._deployment.scale(decision.replicas)

    def _say(self, trouble: str) -> None:
        """Once, until it is another."""
        if trouble and trouble != self._said:
            log.error("sandbox pods: %s", trouble)
        self._said = trouble
