"""What others are served: a promoted checkpoint, or the one before it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

from roundsmith.clients import GeneratorClient, Replicas
from roundsmith.clients.channels import open_channel
from roundsmith.commands.run import read_summary
from roundsmith.errors import ConfigError, StoreError
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.inference_service import InferenceService
from roundsmith.platform.kubernetes_api import KubernetesApi
from roundsmith.report.summary import Summary
from roundsmith.storage import read_file, replace_file

KEPT = 20
"""Checkpoints that are remembered."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """A checkpoint that is, or was, served to others."""

    uri: str
    sha256: str
    """Empty where the chart named only a URL."""
    origin: str
    """Where it is from, in words."""


def after_round(cluster: ClusterConfig, folder: str) -> Promoted | None:
    """Serves the checkpoint of a round to others, where the gate promoted it and there is who
    serves it; `folder` is the URL of the round's files.
    """
    if not cluster.serve.runtime or not (summary := read_summary(folder)).result.promoted:
        return None
    return promote(cluster, summary, folder)


def promote(cluster: ClusterConfig, summary: Summary, origin: str) -> Promoted:
    """Serves the checkpoint of a round to others, with no failed request; again does nothing.

    Raises ConfigError where nothing is served to others, or the round promoted nothing.
    """
    if not summary.result.promoted:
        raise ConfigError(
            f"{origin}: expected a round whose checkpoint the gate promoted, saw one that it did "
            "not: what others are served must have passed the gate; name another round"
        )
    sha256 = summary.result.checkpoint_sha256 or ""
    new = Promoted(f"{cluster.storage}/checkpoints/{sha256}", sha256, origin)
    history = read_history(cluster) or [_served(cluster)]
    if history[-1].sha256 != sha256:
        history = [*history, new][-KEPT:]
    _serve(cluster, new)
    _keep(cluster, history)
    return new


def take_back(cluster: ClusterConfig) -> Promoted:
    """Serves what was served before the last promotion.

    Raises ConfigError where there was nothing before it.
    """
    history = read_history(cluster)
    if len(history) < 2:
        raise ConfigError(
            f"--back: expected a checkpoint that was served before the last promotion, saw "
            f"{len(history)} promotions in {_where(cluster)}: promote the one that you want"
        )
    _serve(cluster, history[-2])
    _keep(cluster, history[:-1])
    return history[-2]


def read_history(cluster: ClusterConfig) -> list[Promoted]:
    """What was promoted, the latest last. Raises StoreError for a file that is something else."""
    where = _where(cluster)
    if (text := read_file(where)) is None:
        return []
    try:
        return [Promoted(**told) for told in json.loads(text)]
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"{where}: expected a list of promoted checkpoints, saw {text[:80]!r}: remove the "
            "file, and promote again"
        ) from error


def _keep(cluster: ClusterConfig, history: Sequence[Promoted]) -> None:
    text = json.dumps([asdict(one) for one in history], indent=1) + "\n"
    replace_file(_where(cluster), text.encode())


def _where(cluster: ClusterConfig) -> str:
    if not cluster.serve.runtime:
        raise ConfigError(
            "serve: expected an installation that serves promoted weights to others, saw one "
            "whose rounds reload the only generator: install it with serve.enabled=true"
        )
    return cluster.serve.history


def _served(cluster: ClusterConfig) -> Promoted:
    """What is served before anything was promoted."""
    origin = "what the installation began with"
    if cluster.serve.runtime == "stock":
        uri = _service(cluster).served()
        return Promoted(uri, "", origin)

    async def ask(client: GeneratorClient) -> str:
        return str((await client.model()).weights_sha256)

    sha256 = asyncio.run(_with_client(cluster, ask))
    return Promoted(f"{cluster.storage}/checkpoints/{sha256}", sha256, origin)


def _serve(cluster: ClusterConfig, wanted: Promoted) -> None:
    if cluster.serve.runtime == "stock":
        _service(cluster).serve(wanted.uri)
        return

    async def reload(client: GeneratorClient) -> str:
        return await client.reload(wanted.uri, wanted.sha256)

    asyncio.run(_with_client(cluster, reload))


async def _with_client(
    cluster: ClusterConfig, work: Callable[[GeneratorClient], Awaitable[str]]
) -> str:
    tls = cluster.endpoints.tls
    channel = open_channel(cluster.serve.endpoint, tls)
    client = GeneratorClient(channel, Replicas(cluster.serve.admin, tls))
    try:
        return await work(client)
    finally:
        await client.stream.close()
        await channel.close()


def _service(cluster: ClusterConfig) -> InferenceService:
    return InferenceService(KubernetesApi(cluster.namespace), cluster.serve.inference_service)
