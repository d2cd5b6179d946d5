"""What there is in the place of a model that is not found."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from roundsmith.config import offline

NAMED = 4
"""Folders, and hub ids, that a message names at most."""
PLACES = ("*", "*/*", "*/round-*/checkpoint", "*/*/round-*/checkpoint")
"""Where models are looked for below the folder that was named, or what there is of it."""


def near_by(path: Path) -> str:
    """The folders of models near a path, as the end of a sentence; nothing where there is none."""
    there = next(folder for folder in (path, *path.parents) if folder.is_dir())
    weights = seen_below(there, [f"{place}/*.safetensors" for place in PLACES])
    folders = {one.parent for one in weights if (one.parent / "config.json").is_file()}
    return f"; near by there is {_named(sorted(map(str, folders)))}" if folders else ""


def seen_below(folder: Path, patterns: Iterable[str]) -> Iterator[Path]:
    """What is found below a folder to help a message: nothing below a root, which is the whole
    machine, and what goes away meanwhile or is not ours to look into is passed over.
    """
    for pattern in patterns if folder != Path(folder.anchor) else ():
        with suppress(OSError):
            yield from folder.glob(pattern)


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
