"""Manifests: what a finished step made, from what, with which settings. Writing one is the
commit.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from roundsmith.errors import StoreError
from roundsmith.hashing import content_hash

SCHEMA_VERSION = 2
BITWISE, DISTRIBUTION = "bitwise", "distribution"
_REPRODUCIBLE = (BITWISE, DISTRIBUTION)
_SHARD = "-shard"
_STEP = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def shard_step(step: str) -> str:
    """The step under which the shards of a step's work are kept."""
    return f"{step}{_SHARD}"


def step_key(
    step: str,
    version: int,
    config: Mapping[str, Any],
    parents: tuple[str, ...],
    shard: str | int = 0,
) -> str:
    """The name of one piece of work: what it does, its settings, the hashes of its input manifests,
    and of a shard the hash of its items, 0 for a whole.

    `version` is the step's own and rises when its meaning changes. Raises TypeError when `config`
    is not JSON.
    """
    return content_hash("step", step, version, dict(config), list(parents), shard)


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One object: the sha256 of its bytes, what it is, rows (files, for a folder; 0 for a blob) and
    bytes.
    """

    hash: str
    kind: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A finished shard of work. `config`, `stats` and `cost` are JSON; cost and code version are in
    no hash.
    """

    step: str
    key: str
    objects: tuple[ObjectRef, ...] = ()
    parents: tuple[str, ...] = ()
    """Hashes of the manifests that this one was made from."""
    config: Mapping[str, Any] = field(default_factory=dict)
    stats: Mapping[str, Any] = field(default_factory=dict)
    code_version: str = ""
    cost: Mapping[str, Any] = field(default_factory=dict)
    """What it took: seconds, tokens, executions."""
    reproducible: str = BITWISE
    """`bitwise`: the same work gives the same bytes. `distribution`: it gives other draws of the
    same distribution, so that what is lost is made anew whole. In no hash."""
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        assert _STEP.fullmatch(self.step), f"{self.step!r} is no name of a step"
        assert _SHA256.fullmatch(self.key), f"{self.key!r} is no sha256"
        assert self.reproducible in _REPRODUCIBLE, f"{self.reproducible!r}: not {_REPRODUCIBLE}"

    @property
    def hash(self) -> str:
        """The content hash of everything but cost and code version: what was made, from what,
        how.
        """
        objects = [[ref.kind, ref.hash, ref.rows, ref.bytes] for ref in self.objects]
        parts = (objects, list(self.parents), dict(self.config), dict(self.stats))
        return content_hash("manifest", self.schema_version, self.step, self.key, *parts)

    @property
    def is_shard(self) -> bool:
        """Whether it is a shard of a whole that has, or will have, a manifest of its own."""
        return self.step.endswith(_SHARD)

    @property
    def reference(self) -> str:
        """How one step tells another of it: `step/key`."""
        return f"{self.step}/{self.key}"

    @property
    def rows(self) -> int:
        """Rows of all its data objects."""
        return sum(ref.rows for ref in self.objects)

    def of_kind(self, kind: str) -> tuple[ObjectRef, ...]:
        """Its objects of one kind, in order."""
        return tuple(ref for ref in self.objects if ref.kind == kind)


def manifest_text(manifest: Manifest) -> str:
    """The JSON of a manifest, its hash included."""
    fields = asdict(manifest) | {"hash": manifest.hash}
    if manifest.schema_version == 1:
        del fields["reproducible"]
    return json.dumps(fields, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def text_manifest(text: str | bytes, path: str) -> Manifest:
    """The manifest that `manifest_text` wrote. Raises StoreError when it is damaged or of a later
    version.
    """
    try:
        fields = json.loads(text)
        version = fields["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"saw {type(error).__name__}: {error}") from error
    if not isinstance(version, int):
        raise _damaged(path, f"saw schema_version {version!r}, which is no whole number")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path}: expected a manifest of schema version {SCHEMA_VERSION} or lower, saw "
            f"{version}: "
            "use the release of Roundsmith that wrote it, or a later one"
        )
    try:
        stated = fields.pop("hash")
        if version == 1:  # which said nothing of it
            fields["reproducible"] = DISTRIBUTION
        objects = tuple(ObjectRef(**ref) for ref in fields.pop("objects"))
        manifest = Manifest(objects=objects, parents=tuple(fields.pop("parents")), **fields)
        seen = manifest.hash
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise _damaged(path, f"saw {type(error).__name__}: {error}") from error
    if stated != seen:
        raise _damaged(path, f"its content hashes to {seen}, it says {stated}")
    return manifest


def _damaged(path: str, seen: str) -> StoreError:
    return StoreError(f"{path}: expected a whole manifest, {seen}: remove the file and run again")
