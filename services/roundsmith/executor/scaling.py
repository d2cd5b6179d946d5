"""How many sandbox pods there should be, and which of them should go: a pure function of what is
seen, called again and again.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SandboxPod:
    """A pod as Kubernetes and the executor see it."""

    name: str
    address: str
    """Empty until it has one."""
    ready: bool
    num_runs: int = 0
    """Begun in it by this executor."""
    num_busy: int = 0
    """Supervisors in it that run a program."""
    condemned: bool = False
    """A canary failed in it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the pods are held to; `slots` is how many runs a pod is meant for at once."""

    least: int
    most: int
    slots: int
    idle_s: float
    recycle_runs: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now: so many replicas, these pods deleted at once, no more work for those, and the
    one that Kubernetes should take first when there are to be fewer.
    """

    replicas: int
    delete: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()
    first_to_go: str = ""


def decide(
    pods: tuple[SandboxPod, ...], replicas: int, demand: int, quiet_s: float, bounds: Bounds
) -> Decision:
    """`demand` is how many runs there are and wait; `quiet_s` for how long fewer pods than
    `replicas` would have done.

    More pods come at once, fewer after `idle_s`; one at a time goes, when nothing runs in it. A pod
    that has had its runs is replaced: one more comes first, then it goes.
    """
    condemned = tuple(pod.name for pod in pods if pod.condemned)
    trusted = [pod for pod in pods if not pod.condemned]
    worn = [pod for pod in trusted if pod.num_runs >= bounds.recycle_runs]
    target = min(max(math.ceil(demand / bounds.slots), bounds.least), bounds.most)
    if worn:
        return _replace(worn, trusted, max(target, min(len(trusted) - 1, bounds.most)), condemned)
    if target >= replicas:
        return Decision(target, condemned)
    if quiet_s < bounds.idle_s or not trusted:
        return Decision(replicas, condemned)
    victim = min(trusted, key=lambda pod: (pod.ready, pod.num_busy, -pod.num_runs, pod.name))
    if victim.num_busy:
        return Decision(replicas, condemned, drain=(victim.name,))
    return Decision(replicas - 1, condemned, (victim.name,), victim.name)


def _replace(
    worn: list[SandboxPod], trusted: list[SandboxPod], target: int, condemned: tuple[str, ...]
) -> Decision:
    """One pod more than the target, until enough fresh ones are ready and the worn one is quiet."""
    victim = min(worn, key=lambda pod: (pod.num_busy, pod.name))
    fresh = [pod for pod in trusted if pod.ready and pod.name != victim.name]
    drain = (victim.name,)
    if len(fresh) < target or victim.num_busy:
        return Decision(target + 1, condemned, drain)
    return Decision(target, condemned, drain, victim.name)
