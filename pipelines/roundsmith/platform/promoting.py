"""What others are served: a promoted checkpoint, or the one before it. Each is an entry that is
written once, after those there are; the last is served.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass

from roundsmith.clients import GeneratorClient, Replicas, StreamSettings
from roundsmith.clients.channels import open_channel
from roundsmith.commands.exported import read_summary
from roundsmith.errors import ConfigError, StoreError, Unavailable
from roundsmith.platform.cluster_config import ClusterConfig
from roundsmith.platform.inference_service import InferenceService
from roundsmith.platform.kubernetes_api import KubernetesApi
from roundsmith.report.summary import Summary
from roundsmith.store.root import Root

_DIGITS = 8
"""Of the names of entries, which sort as they were written."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """A checkpoint that is, or was, served to others."""

    uri: str
    sha256: str
    """Empty where the chart named only a URL."""
    origin: str
    """Where it is from, in words."""
    before: int = 0
    """The entry that `--back` serves again; 0 is none."""


def after_round(cluster: ClusterConfig, folder: str) -> Promoted | None:
    """Serves the checkpoint of a round to others, where the gate promoted it, there is who serves
    it, and it was not promoted before: a round that is told again takes nothing newer away.
    `folder` is the URL of the round's files.
    """
    if not cluster.serve.runtime or not (summary := read_summary(folder)).result.promoted:
        return None
    sha256 = summary.result.checkpoint_sha256
    if any((one.origin, one.sha256) == (folder, sha256) for one in _entries(cluster).values()):
        return None
    return promote(cluster, summary, folder)


def promote(cluster: ClusterConfig, summary: Summary, origin: str) -> Promoted:
    """Serves the checkpoint of a round to others, with no failed request; again changes nothing.
    Of two at once the later is served.

    Raises ConfigError where nothing is served to others, or the round promoted nothing.
    """
    if not summary.result.promoted:
        raise ConfigError(
            f"{origin}: expected a round whose checkpoint the gate promoted, saw one that it did "
            "not: what others are served must have passed the gate; name another round"
        )
    sha256 = summary.result.checkpoint_sha256 or ""
    uri = f"{cluster.storage}/checkpoints/{sha256}"
    if not _entries(cluster):
        _write(cluster, 1, _served(cluster))

    def choose(entries: Mapping[int, Promoted]) -> Promoted:
        number = max(entries)
        last = entries[number]
        return last if last.sha256 == sha256 else Promoted(uri, sha256, origin, number)

    return _serve_next(cluster, choose)


def take_back(cluster: ClusterConfig) -> Promoted:
    """Serves what was served before the last promotion; where one ended on its way, such as with a
    checkpoint that KServe's runtime can not load, or killed before it was written down, what was
    promoted last.

    Raises ConfigError where there was nothing before it.
    """

    def choose(entries: Mapping[int, Promoted]) -> Promoted:
        if entries and not _wanted(cluster, last := entries[max(entries)]):
            return last
        before = entries[max(entries)].before if entries else 0
        if before not in entries:
            raise ConfigError(
                "--back: expected a checkpoint that was served before the last promotion, saw "
                f"{len(_line(entries))} promotions in {_where(cluster)}: promote the one that "
                "you want"
            )
        return entries[before]

    return _serve_next(cluster, choose)


def _wanted(cluster: ClusterConfig, last: Promoted) -> bool:
    """Whether an entry is what is to be served: KServe goes on trying to roll out what it was told,
    and our own generator has loaded it.
    """
    if cluster.serve.runtime == "stock":
        return _service(cluster).served() == last.uri
    return not last.sha256 or _loaded(cluster) == last.sha256


def read_history(cluster: ClusterConfig) -> list[Promoted]:
    """What `--back` goes back over, the latest last. Raises StoreError for an entry that is
    something else.
    """
    return _line(_entries(cluster))


def _line(entries: Mapping[int, Promoted]) -> list[Promoted]:
    line: list[Promoted] = []
    number = max(entries, default=0)
    while number in entries:
        line.insert(0, entries[number])
        number = entries[number].before
    return line


def _entries(cluster: ClusterConfig) -> dict[int, Promoted]:
    """All that was ever served, by the number of its entry."""
    root = Root(_where(cluster))
    found = {}
    for name in root.names(""):
        if re.fullmatch(rf"\d{{{_DIGITS}}}\.json", name) and (text := root.read(name)) is not None:
            try:
                found[int(name[:_DIGITS])] = Promoted(**json.loads(text))
            except (TypeError, ValueError) as error:
                raise StoreError(
                    f"{root.url(name)}: expected a promoted checkpoint, saw {text[:80]!r}: remove "
                    "the file, and promote again"
                ) from error
    return found


def _serve_next(
    cluster: ClusterConfig, choose: Callable[[Mapping[int, Promoted]], Promoted]
) -> Promoted:
    """Serves what is chosen from the entries there are, and writes it as the next, also where it is
    the last already: who serves without writing may serve over what another wrote meanwhile. Of two
    at once one finds its number taken, and chooses and serves once more: the last entry is what is
    served.
    """
    while True:
        entries = _entries(cluster)
        chosen = choose(entries)
        _serve(cluster, chosen)
        if _write(cluster, max(entries, default=0) + 1, chosen):
            return chosen


def _write(cluster: ClusterConfig, number: int, entry: Promoted) -> bool:
    """Whether this call wrote the entry: its number is taken by the first that asks for it."""
    text = json.dumps(asdict(entry), indent=1) + "\n"
    return Root(_where(cluster)).create(f"{number:0{_DIGITS}}.json", text.encode())


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
    sha256 = _loaded(cluster)
    return Promoted(f"{cluster.storage}/checkpoints/{sha256}", sha256, origin)


def _loaded(cluster: ClusterConfig) -> str:
    """The weights that our own generator serves."""

    async def ask(client: GeneratorClient) -> str:
        return str((await client.model()).weights_sha256)

    return asyncio.run(_with_client(cluster, ask))


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
    patient = StreamSettings(give_up_s=cluster.patience_s)
    client = GeneratorClient(channel, Replicas(cluster.serve.admin, tls), patient)
    try:
        return await work(client)
    except Unavailable as error:  # which may not say of whom
        raise Unavailable(
            f"serve at {cluster.serve.endpoint}: expected an answer within "
            f"{cluster.patience_s:.0f} s, saw {error}: look at its pods"
        ) from error
    finally:
        await client.stream.close()
        await channel.close()


def _service(cluster: ClusterConfig) -> InferenceService:
    return InferenceService(KubernetesApi(cluster.namespace), cluster.serve.inference_service)
