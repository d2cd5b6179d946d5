"""The rounds whose checkpoints a person can promote: those that the gate promoted."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from roundsmith.commands.exported import read_summary
from roundsmith.errors import ConfigError
from roundsmith.report.summary import Summary
from roundsmith.storage import open_storage, storage_errors

NAMED = 4
"""Rounds that a message names at most."""


def read_promoted(folder: str) -> Summary:
    """The summary of a round whose files are at the URL `folder`, `.../runs/RUN/round-N`. Raises
    ConfigError with some that can be promoted where there is none, or the gate did not promote it.
    """
    run, runs = folder.rpartition("/")[0], folder.rsplit("/", 2)[0]
    rounds = sorted(_rounds(runs), key=lambda url: not url.startswith(f"{run}/"))
    is_there = folder in rounds
    if is_there and (summary := read_summary(folder)).result.promoted:
        return summary
    raise ConfigError(
        f"{folder}: expected a round whose checkpoint the gate promoted, saw "
        f"{'one that it did not' if is_there else 'no finished round'}: {_instead(runs, rounds)}"
    )


def _instead(runs: str, rounds: Sequence[str]) -> str:
    """What can be done; the asked run's own rounds are looked at first."""
    found = [url.removeprefix(f"{runs}/").split("/round-") for url in _promoted(rounds)]
    if not found:
        return (
            f"{runs} has {len(rounds) or 'no'} finished round{'s' * (len(rounds) != 1)}, and none "
            "that can be promoted: look at `roundsmith status` for what is under way, or "
            "`roundsmith submit` a run"
        )
    named = " or ".join(f"`roundsmith promote {run} --round {number}`" for run, number in found)
    return f"{named} promotes one that there is, with the same --namespace and --release"


def _promoted(rounds: Sequence[str]) -> Iterator[str]:
    def is_promoted(url: str) -> bool:
        try:
            return read_summary(url).result.promoted
        except ConfigError:  # of an earlier release, or gone meanwhile
            return False

    return islice(filter(is_promoted, rounds), NAMED)


def _rounds(runs: str) -> list[str]:
    """The URLs of all finished rounds, by run and number."""
    system, path = open_storage(runs)
    with storage_errors(runs):
        files = system.find(path, maxdepth=3)
    found = (re.search(r"([^/]+)/round-(\d+)/summary\.json$", file) for file in files)
    numbered = sorted((match[1], int(match[2])) for match in found if match)
    return [f"{runs}/{run}/round-{number}" for run, number in numbered]
