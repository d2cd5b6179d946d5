"""What there is in the place of a model that is not found."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from roundsmith.config import offline

NAMED = 4
"""Folders, and hub ids, that a message names at most."""
PLACES = ("*", "*/*", "*/round-*/checkpoint", "*/*/round-*/checkpoint")
"""Where models are looked for below the folder that was named, or what there is of it."""


def near_by(path: Path) -> str:
    """The folders of models near a path, as the end of a sentence; nothing where there is none, and
    where no part of the path exists: nothing is near to a root that holds the whole machine.
    """
    there = next(folder for folder in (path, *path.parents) if folder.is_dir())
    folders = set() if there == Path(there.anchor) else set(_models_below(there))
    return f"; near by there is {_named(sorted(map(str, folders)))}" if folders else ""


def _models_below(folder: Path) -> Iterator[Path]:
    """Those that can be seen: what goes away or is not ours to look into is passed over."""
    for place in PLACES:
        with suppress(OSError):
            for config in folder.glob(f"{place}/config.json"):
                if any(config.parent.glob("*.safetensors")):
                    yield config.parent


def in_the_cache() -> str:
    """What a hub's cache holds, and how it is used without a network."""
    from huggingface_hub.constants import HF_HUB_CACHE

    cached = [
        folder.name.removeprefix("models--").replace("--", "/")
        for folder in sorted(Path(HF_HUB_CACHE).glob("models--*"))
        if any(folder.glob("snapshots/*/*.safetensors"))
    ]
    holds = f"the hub's cache, which holds {_named(cached) or 'none'}"
    if offline():
        return f"HF_HUB_OFFLINE is set, so only {holds}, is looked in: unset it to fetch others"
    return f"without a network HF_HUB_OFFLINE=1 takes a model from {holds}"


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
