"""The gate's decisions, made again from the evaluations, rows and settings that they rest on."""

from collections.abc import Mapping, Sequence
from math import isclose
from typing import Any

from roundsmith.errors import RoundsmithError
from roundsmith.lineage.history import History
from roundsmith.lineage.integrity import Findings
from roundsmith.lineage.rounds import checkpoint_of
from roundsmith.steps.decide import Seen, decided, decision_stats
from roundsmith.store import Manifest

SETTINGS = ("alpha", "rounds", "seed", "keep", "budget")
GATE_PARENTS = ["evaluate", "evaluate", "select", "tasks"]
KEPT_PARENTS = ["kept", "evaluate", "evaluate"]
"""Of each file that must not get worse."""


def check_decisions(history: History, findings: Findings) -> None:
    """Every decision against what the gate says today. One of which something it rests on is gone
    is left out: where a round needs it, that is told of.
    """
    for manifest in history.of("decide"):
        if not history.lost(manifest):
            findings.expect("decisions", manifest.reference, _differs(history, manifest))


def _differs(history: History, manifest: Manifest) -> str | None:
    parents, checkpoint = history.parents(manifest), None
    steps, num_kept = [parent.step for parent in parents], len(parents[4:]) // len(KEPT_PARENTS)
    if steps == GATE_PARENTS + num_kept * KEPT_PARENTS:
        checkpoint = checkpoint_of(history, manifest)
    sampled = [m for m in history.ancestors(manifest) if m.step == "sample"]
    if checkpoint is None or not sampled or not manifest.config.keys() >= {*SETTINGS}:
        return f"expected evaluations, rows and settings to decide by, saw {', '.join(steps)}"
    own = [(parents[at], parents[at + 1], parents[at + 2]) for at in range(4, len(parents), 3)]
    before, after, rows, tasks = parents[:4]
    seen = Seen(before, after, rows, tasks, checkpoint, own)
    try:
        again = decided(history.store, manifest.config, seen, sampled[0].config["round"])
    except RoundsmithError as error:
        return str(error)
    return _other(manifest.stats, decision_stats(again))


def _other(told: Mapping[str, Any], again: Mapping[str, Any]) -> str | None:
    """The first thing that is said otherwise, in words."""
    wrong = [name for name, value in again.items() if not _alike(told.get(name), value)]
    return f"{wrong[0]} was {told.get(wrong[0])}, is {again[wrong[0]]}" if wrong else None


def _alike(told: Any, again: Any) -> bool:
    """Whether values are the same but for how a machine rounds."""
    match told, again:
        case (bool(), _) | (_, bool()) | (str(), _) | (_, str()):
            return bool(told == again)
        case (int() | float(), int() | float()):
            return isclose(told, again, rel_tol=1e-9, abs_tol=1e-12)
        case (Mapping(), Mapping()):
            return told.keys() == again.keys() and all(_alike(told[n], again[n]) for n in again)
        case (Sequence(), Sequence()):
            return len(told) == len(again) and all(map(_alike, told, again))
    return False
