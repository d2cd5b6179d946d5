"""Weights have a version and an owner: what a service with weights checks, and how they are
swapped.
"""

import asyncio
import logging
import re
from pathlib import Path
from typing import Protocol

from roundsmith.errors import ConfigError, StoreError, WeightsMismatch
from roundsmith.serve.checkpoints import Checkpoints
from roundsmith.serve.record import Recorded, WeightsRecord
from roundsmith.serve.unstopped import Unstopped

logger = logging.getLogger(__name__)
_SHA256 = re.compile("[0-9a-f]{64}")


class Described(Protocol):
    """At least the weight version, 64 hex digits."""

    @property
    def weights_sha256(self) -> str: ...


class ServesWeights(Protocol):
    """An engine whose weights can be swapped; idempotent by hash, never serving a mixture."""

    async def reload(self, folder: Path, sha256: str) -> None: ...

    def describe(self) -> Described: ...


def refuse_other_weights(expected: str, served: str) -> None:
    """Raises WeightsMismatch unless `expected` is empty or what is served."""
    if expected and expected != served:
        raise WeightsMismatch(
            f"weights: expected {expected[:12]}, serving {served[:12]}: "
            "reload the weights that you need, or expect none"
        )


def check_version(sha256: str) -> None:
    """Raises ConfigError unless it can be a weight version."""
    if not _SHA256.fullmatch(sha256):
        raise ConfigError(
            f"sha256: expected a weight version, 64 hex digits, saw {sha256!r}: give that of "
            "the checkpoint"
        )


class Reloads:
    """Swaps an engine's weights for those of checkpoints, one after the other."""

    def __init__(
        self, engine: ServesWeights, checkpoints: Checkpoints, record: str | None = None
    ) -> None:
        """`record` is the URL of a file that keeps what is served, for replicas that start
        later.
        """
        self._engine, self._checkpoints = engine, checkpoints
        self._record = WeightsRecord(record) if record else None
        self._one_at_a_time = asyncio.Lock()
        self._swaps = Unstopped("a reload failed")

    async def reload(self, uri: str, sha256: str) -> str:
        """Serve the checkpoint at `uri` of weight version `sha256`; what is served then.

        Idempotent by hash, and recorded. A caller that gives up does not stop it: the same call
        again waits for the same end. Raises ConfigError for what may not be loaded,
        WeightsMismatch for another version, StoreError when storage fails; the old weights go on
        serving then, but where it says that the record alone failed.
        """
        check_version(sha256)
        self._checkpoints.check(uri)
        await self._swaps.to_its_end(self._swap(uri, sha256))
        return self._engine.describe().weights_sha256

    async def restore(self) -> None:
        """Serve what is recorded, before anybody is answered; and what is recorded while that is
        loaded, because whoever swaps weights then does not know this replica yet.

        A checkpoint that is gone, or is not what was recorded, is left alone with a warning: every
        caller sees which weights are served. Raises StoreError when the record can not be read.
        """
        if self._record is None:
            return
        restored: Recorded | None = None
        while (found := await asyncio.to_thread(self._record.read)) != restored:
            if found is None:
                return
            try:
                check_version(found.sha256)
                self._checkpoints.check(found.uri)
                async with self._one_at_a_time:
                    await self._serve(found.uri, found.sha256)
            except (ConfigError, WeightsMismatch) as error:
                logger.warning("the recorded weights are not served: %s", error)
            restored = found

    async def _swap(self, uri: str, sha256: str) -> None:
        async with self._one_at_a_time:
            await self._serve(uri, sha256)
            if self._record is not None:
                await self._keep(self._record, Recorded(uri, sha256))

    async def _keep(self, record: WeightsRecord, served: Recorded) -> None:
        try:
            await asyncio.to_thread(record.write, served)
        except StoreError as error:
            raise StoreError(
                f"the weights {served.sha256[:12]} are served, but a replica that starts later "
                f"would not know: {error}; send the call again"
            ) from error

    async def _serve(self, uri: str, sha256: str) -> None:
        served = self._engine.describe().weights_sha256
        if served != sha256:
            folder = await asyncio.to_thread(self._checkpoints.fetch, uri, sha256, (served,))
            await self._engine.reload(folder, sha256)
