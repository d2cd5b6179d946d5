"""What becomes of a round's checkpoint that the gate promoted: it is served to others, and an entry
in Kubeflow's Model Registry, each where the installation has who takes it.
"""

from collections.abc import Iterator

from roundsmith.commands.exported import read_summary
from roundsmith.errors import ConfigError, PlatformError, RoundsmithError
from roundsmith.platform.cluster_config import ClusterConfig, ClusterModelRegistry
from roundsmith.platform.model_registry import ModelRegistry, Value, properties
from roundsmith.platform.promotable import read_promoted
from roundsmith.platform.promoting import after_round, promote
from roundsmith.report.metrics import metrics
from roundsmith.report.summary import Summary

HASH_DIGITS = 12
"""Of a checkpoint's, in the name of its version: a run that is played anew may end elsewhere."""


def hand_on(cluster: ClusterConfig, folder: str) -> list[str]:
    """After a round, whose files are at the URL `folder`: says what was done with its checkpoint.
    What can not be served or registered costs no round: it says so, and by which command it is
    tried again.
    """
    said = []
    again = "`roundsmith promote {} --round {}` tries again".format(*_of(folder))
    try:
        if (served := after_round(cluster, folder)) is not None:
            said.append(f"served to others: {served.uri}")
    except RoundsmithError as error:
        said.append(f"not served to others: {error}; {again}")
    summary = read_summary(folder)
    if cluster.model_registry.host and summary.result.promoted:
        try:
            said.append(register(cluster, summary, folder))
        except PlatformError as error:
            said.append(f"not registered: {error}; {again}")
    return said


def hand_on_by_hand(cluster: ClusterConfig, folder: str) -> Iterator[str]:
    """The same by a person's command, whatever was promoted since; says each as it is done. Again
    does nothing.

    Raises ConfigError where there is no such round or the gate did not promote it, or nobody takes
    it; PlatformError where it is not registered, and is served all the same.
    """
    summary = read_promoted(folder)
    if cluster.serve.runtime or not cluster.model_registry.host:
        served = promote(cluster, summary, folder)
        yield f"served to others: {served.uri} ({served.origin})"
    if cluster.model_registry.host:
        yield register(cluster, summary, folder)


def register(cluster: ClusterConfig, summary: Summary, folder: str) -> str:
    """Enters a promoted checkpoint as a version of the installation's model, which is called by
    run, round and hash; what there is stays as it is. Says what was done.

    Raises ConfigError where the gate did not promote it; PlatformError where it is not registered.
    """
    result, told = summary.result, cluster.model_registry
    if not result.promoted or result.checkpoint_sha256 is None:
        raise ConfigError(
            f"{folder}: expected a round whose checkpoint the gate promoted, saw one that it did "
            "not: what is registered must have passed the gate; name another round"
        )
    run, number = _of(folder)
    name = f"{run}-round-{number}-{result.checkpoint_sha256[:HASH_DIGITS]}"
    registry = ModelRegistry(told.host, told.token)
    described = f"Rounds of self-training of the installation in {cluster.namespace}"
    model = registry.model(told.model, {"description": described})
    version, is_new = registry.version(
        model,
        name,
        {
            "description": f"{result.recipe}, round {number} of {run}: {_gain(summary)}",
            "customProperties": properties(provenance(summary, run, folder)),
        },
    )
    files = _files(cluster, result.checkpoint_sha256, folder, name)
    registry.artifact(version, told.model, files)  # where the stock client looks for it
    return f"registered: {_entry(told, name)}{'' if is_new else ', as it was before'}"


def provenance(summary: Summary, run: str, folder: str) -> dict[str, Value]:
    """What a version tells of where it is from, and how good it is."""
    result = summary.result
    begun: dict[str, Value] = {
        **{"run": run, "round": result.round, "recipe": result.recipe, "preset": result.preset},
        **{"seed": str(result.seed), "base_model": result.model, "tasks": result.tasks},
        "tasks_sha256": result.tasks_sha256,
        "base_weights_sha256": result.weights_sha256,
        "weights_sha256": str(result.checkpoint_sha256),
        "report": f"{folder}/report.html",
    }
    return begun | metrics(summary)


def _files(cluster: ClusterConfig, sha256: str, folder: str, name: str) -> dict[str, str]:
    """Where the checkpoint is, and what made it, in the words of the registry."""
    return {
        "uri": f"{cluster.storage}/checkpoints/{sha256}",
        "modelFormatName": "safetensors",
        "modelSourceKind": "roundsmith",
        "modelSourceClass": "round",
        "modelSourceGroup": cluster.namespace,
        "modelSourceId": folder,
        "modelSourceName": name,
    }


def _gain(summary: Summary) -> str:
    gate = summary.result.gate
    return "" if gate is None else f"pass@1 on `gate` {gate.difference:+.3f}, p {gate.p_value:.2g}"


def _entry(told: ClusterModelRegistry, name: str) -> str:
    return f"version {name} of model {told.model} at {told.host}"


def _of(folder: str) -> tuple[str, int]:
    """Run, or chain, and round of `.../runs/RUN/round-N`."""
    run, _, number = folder.rpartition("/round-")
    return run.rpartition("/")[2], int(number)
