"""Weights have a version and an owner: what a service with weights checks and where it may load
from.
"""

from pathlib import Path
from typing import Protocol

from roundsmith.errors import ConfigError, WeightsMismatch


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


class StorageRoot:
    """The folder under which checkpoints may be loaded from; everything else is refused."""

    def __init__(self, root: Path | None) -> None:
        self._root = root.resolve() if root is not None else None

    def resolve(self, uri: str) -> Path:
        """The local folder of a URI; raises ConfigError when it lies outside of the storage
        root.
        """
        path = Path(uri.removeprefix("file://")).resolve()
        if self._root is None or not path.is_relative_to(self._root):
            raise ConfigError(
                f"{uri}: expected a folder under the storage root {self._root}, saw one outside: "
                "start the service with --storage-root, or put the checkpoint there"
            )
        return path
