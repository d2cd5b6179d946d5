"""Adapters from the storage root into an engine, recorded for replicas that start later."""

import asyncio
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from roundsmith.errors import ConfigError, StoreError, WeightsMismatch
from roundsmith.serve.checkpoints import Checkpoints
from roundsmith.serve.record import Recorded
from roundsmith.serve.unstopped import Unstopped
from roundsmith.serve.weights import check_version
from roundsmith.storage import read_file, replace_file

logger = logging.getLogger(__name__)


class ServesAdapters(Protocol):
    """An engine that draws with adapters by name; idempotent by name and hash."""

    async def load_adapter(self, name: str, folder: Path, sha256: str) -> None: ...

    async def unload_adapter(self, name: str) -> None: ...


class AdapterLoads:
    """Loads and unloads, one after the other."""

    def __init__(
        self, engine: ServesAdapters, checkpoints: Checkpoints, record: str | None = None
    ) -> None:
        """`record` is the URL of the file that keeps the weights; adapters have one beside it."""
        self._engine, self._checkpoints = engine, checkpoints
        self._record = f"{record}.adapters" if record else None
        self._version_by_name: dict[str, str] = {}
        """Of what is served; a replica may lack some of what is recorded for a while."""
        self._one_at_a_time = asyncio.Lock()
        self._calls = Unstopped("an adapter call failed")

    async def load(self, name: str, uri: str, sha256: str) -> None:
        """Serve the adapter at `uri`, of version `sha256`, under a name; nothing to do where it has
        that version. A caller that gives up does not stop it, nor an unload.

        Raises ConfigError for what may not be loaded, WeightsMismatch for another version,
        StoreError when storage fails; what the name had before is served on then.
        """
        check_version(sha256)
        self._checkpoints.check(uri)
        await self._calls.to_its_end(self._load(name, uri, sha256))

    async def unload(self, name: str) -> None:
        """Serve no adapter under a name any more."""
        await self._calls.to_its_end(self._unload(name))

    async def restore(self) -> None:
        """Serve the adapters that are recorded, before anybody is answered, and those that are
        recorded while others load; one that can not be had is left alone with a warning, and stays
        recorded. Raises StoreError when the record can not be read.
        """
        restored: dict[str, Recorded] = {}
        while (recorded := await asyncio.to_thread(self._read)) != restored:
            for name in restored.keys() - recorded.keys():
                await self._engine.unload_adapter(name)
                self._version_by_name.pop(name, None)
            for name, one in recorded.items():
                if restored.get(name) != one:
                    await self._restore(name, one)
            restored = recorded

    async def _restore(self, name: str, one: Recorded) -> None:
        try:
            await self._serve(name, one.uri, one.sha256)
        except (ConfigError, WeightsMismatch) as error:
            logger.warning("the recorded adapter %s is not served: %s", name, error)

    async def _load(self, name: str, uri: str, sha256: str) -> None:
        async with self._one_at_a_time:
            if self._version_by_name.get(name) == sha256 and await self._is_recorded(name, sha256):
                return
            await self._serve(name, uri, sha256)
            await asyncio.to_thread(self._keep, name, Recorded(uri, sha256))

    async def _unload(self, name: str) -> None:
        async with self._one_at_a_time:
            await self._engine.unload_adapter(name)
            self._version_by_name.pop(name, None)
            await asyncio.to_thread(self._keep, name, None)

    async def _serve(self, name: str, uri: str, sha256: str) -> None:
        served = list(self._version_by_name.values())
        folder = await asyncio.to_thread(self._checkpoints.fetch, uri, sha256, served)
        await self._engine.load_adapter(name, folder, sha256)
        self._version_by_name[name] = sha256

    async def _is_recorded(self, name: str, sha256: str) -> bool:
        """Whether a replica that starts now would serve it; true where there is no record."""
        recorded = (await asyncio.to_thread(self._read)).get(name)
        return self._record is None or (recorded is not None and recorded.sha256 == sha256)

    def _read(self) -> dict[str, Recorded]:
        text = read_file(self._record) if self._record else None
        try:
            return {n: Recorded(**one) for n, one in json.loads(text or "{}").items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise StoreError(
                f"{self._record}: expected the record of adapters by name, saw {text!r:.80}: "
                "remove the file, or name another with --weights-record"
            ) from error

    def _keep(self, name: str, wanted: Recorded | None) -> None:
        """Record what is to be served under a name, and leave the other names as they are now:
        another replica may have written since.
        """
        kept = self._read()
        if self._record is None or kept.get(name) == wanted:
            return
        changed = {n: one for n, one in kept.items() if n != name}
        if wanted is not None:
            changed[name] = wanted
        text = json.dumps({n: asdict(one) for n, one in sorted(changed.items())})
        replace_file(self._record, text.encode())
