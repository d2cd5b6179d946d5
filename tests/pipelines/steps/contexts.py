"""A round's context on a store of its own, for steps that need no service."""

from pathlib import Path
from typing import Any

from roundsmith.platform.local import LocalPlatform
from roundsmith.presets import run_config
from roundsmith.steps.context import Context
from roundsmith.store import Store


def context(folder: Path, number: int = 1, **settings: Any) -> Context:
    """Round `number` of a run with these settings; nothing is started."""
    config = run_config("lab", None, {"recipe": "gift", **settings}, [])
    work = folder / "work"
    store = Store(str(folder / "store"))
    return Context(store, config, number, LocalPlatform(config, work), lambda *_: None)
