"""The adapters that an engine has loaded, by name, and who draws with each."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from roundsmith.errors import ConfigError, UnknownName, Unsupported
from roundsmith.generator.adapter_folder import check_adapter
from roundsmith.generator.model_info import Adapter, adapted_version
from roundsmith.hashing import weights_sha256

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(eq=False, slots=True)
class Loaded:
    """One version of an adapter. `number` is its own for ever; `users` draw with it now."""

    name: str
    sha256: str
    folder: Path
    number: int
    users: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)

    async def left(self) -> None:
        """Returns when nothing draws with it."""
        while self.users:
            self.unused.clear()
            await self.unused.wait()


class Adapters:
    """Names and versions. Not safe for several threads."""

    def __init__(self, most: int) -> None:
        self._most, self._numbers = most, 0
        self._by_name: dict[str, Loaded] = {}

    def find(self, name: str) -> Loaded | None:
        """The adapter of a name, None for the empty one; UnknownName where there is none."""
        if not name:
            return None
        if (found := self._by_name.get(name)) is None:
            raise UnknownName(
                f"adapter {name!r}: expected one of {sorted(self._by_name) or 'none at all'}: "
                "load it by LoadAdapter, or leave the name out"
            )
        return found

    def named(self, name: str) -> Loaded | None:
        """The adapter of a name, where there is one."""
        return self._by_name.get(name)

    def all(self) -> list[Loaded]:
        """All that have a name."""
        return list(self._by_name.values())

    def refuse_lost(self) -> None:
        """Raises ConfigError where the folder of one is gone, or has become another: an engine that
        reads it again would fail.
        """
        for one in self.all():
            if not one.folder.is_dir() or weights_sha256(one.folder) != one.sha256:
                raise ConfigError(
                    f"adapter {one.name!r}: its copy in {one.folder} is gone or damaged, and would "
                    "not load on new weights: unload it and load it again, then the weights"
                )

    def remove(self, name: str) -> Loaded | None:
        """Takes a name away; what draws with its adapter goes on."""
        return self._by_name.pop(name, None)

    def describe(self, base: str) -> tuple[Adapter, ...]:
        """What GetModel tells, beside a model of this weight version."""
        return tuple(
            Adapter(name, one.sha256, adapted_version(base, one.sha256))
            for name, one in sorted(self._by_name.items())
        )

    @contextmanager
    def using(self, adapter: Loaded | None) -> Iterator[None]:
        """The block draws with the adapter."""
        if adapter is None:
            yield
            return
        adapter.users += 1
        try:
            yield
        finally:
            adapter.users -= 1
            if not adapter.users:
                adapter.unused.set()

    @asynccontextmanager
    async def adding(
        self, name: str, folder: Path, sha256: str, model: Path
    ) -> AsyncIterator[Loaded | None]:
        """The block loads the adapter, which has the name if it ends well; None where the name has
        this version already. ConfigError for a folder that is no adapter of the `model` folder,
        WeightsMismatch for another version.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"adapter {name!r}: expected a name of letters, digits, '.', '_' and '-'"
            )
        known = self._by_name.get(name)
        if known is not None and known.sha256 == sha256:
            yield None
            return
        if known is None and len(self._by_name) >= self._most:
            raise Unsupported(
                f"adapter {name!r}: expected at most {self._most} loaded, saw as many: unload one, "
                "or start the generator with a larger --max-adapters"
            )
        await asyncio.to_thread(check_adapter, folder, sha256, model)
        self._numbers += 1
        adapter = Loaded(name, sha256, folder, self._numbers)
        yield adapter
        self._by_name[name] = adapter
