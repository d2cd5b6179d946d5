"""Starts the pair builder: rules in, a service that `serve.run` keeps up out."""

from collections.abc import Sequence

from roundsmith.config import ServeSettings
from roundsmith.pair_builder.rules import load_rules
from roundsmith.pair_builder.service import bindings
from roundsmith.serve import Service


async def start(recipes: Sequence[str], serve: ServeSettings) -> Service:
    """Loads the rules of the packages and folders, and offers them; ConfigError for a bad one."""
    rules = load_rules(recipes)

    async def close() -> None:
        return

    return Service(bindings(rules, serve), close)
