"""A chain of rounds that are runs of their own: what each leaves to the next, in the storage root.

<storage>/chains/<chain>/settings.json   what the chain was begun with
                         round-N.json    what round N came to, written once
                         next-N          which run submits round N
                         next-N-after-R  which does, where run R was lost
                         first-R         run R plays round 1
                         stop            no further round is to begin
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from roundsmith.errors import ConfigError
from roundsmith.steps.config import RunConfig
from roundsmith.steps.rules import RoundSeen, why_stop
from roundsmith.steps.spent import Spent, total
from roundsmith.store.root import Root

_FIRST = "first-"


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """What a round came to: the model that the next one begins with, and why it is the last (empty
    where it is not). `spent` is what its work took, by reference.
    """

    round: int
    promoted: bool
    diversity: float | None
    model: str
    last: str
    spent: Mapping[str, Spent]


class Chain:
    """The rounds of one name in a storage root; each is written by whoever comes first."""

    def __init__(self, storage: str, name: str) -> None:
        self.name = name
        self._root = Root(storage)

    def begin(self, config: RunConfig) -> None:
        """Raises ConfigError where the chain was begun with other settings."""
        self._root.create(self._path("settings.json"), config.model_dump_json(indent=1).encode())
        self.refuse_others(config)

    def refuse_others(self, config: RunConfig) -> None:
        """Raises ConfigError where the chain was begun with other settings, and begins none."""
        text = self._root.read(self._path("settings.json"))
        if text is None:
            return
        kept, asked = json.loads(text), json.loads(config.model_dump_json())
        apart = sorted(name for name in asked if kept.get(name) != asked[name])
        if apart:
            seen = ", ".join(f"{name} {kept.get(name)!r}" for name in apart)
            raise ConfigError(
                f"chain {self.name}: expected the settings that it was begun with, {seen}, saw "
                f"others: give them, or another chain"
            )

    def enter(self, run: str) -> None:
        """Tells of a run that plays round 1, by which it is found where it has another name.

        Raises ConfigError where the chain was stopped meanwhile.
        """
        self._root.create(self._path(f"{_FIRST}{run}"), run.encode())
        self.refuse_stopped()

    def first_runs(self) -> list[str]:
        """The runs that were told of."""
        names = self._root.names(f"chains/{self.name}")
        return [name.removeprefix(_FIRST) for name in names if name.startswith(_FIRST)]

    def record(self, number: int) -> RoundRecord | None:
        """What a round came to; None while it is not decided."""
        text = self._root.read(self._path(f"round-{number}.json"))
        if text is None:
            return None
        told = json.loads(text)
        told["spent"] = {ref: Spent(**spent) for ref, spent in told["spent"].items()}
        return RoundRecord(**told)

    def model_before(self, number: int) -> str | None:
        """The reference of the model that a round begins with; None is the run's first model.

        Raises ConfigError where the round before is not decided, or was the last.
        """
        if number == 1:
            return None
        before = self.record(number - 1)
        if before is None or before.last:
            seen = "none of it" if before is None else f"that it was the last ({before.last})"
            raise ConfigError(
                f"round {number} of chain {self.name}: expected round {number - 1} to have been "
                f"decided and another one to follow, saw {seen}: begin a chain with round_number 1"
            )
        return before.model

    def decided(
        self,
        config: RunConfig,
        seen: RoundSeen,
        number: int,
        model: str,
        spent: Mapping[str, Spent],
    ) -> RoundRecord:
        """Keeps what a round came to, as far as nobody did; `seen` and `spent` are of it alone.

        The chain ends with it by the rules of a run, whose budget is that of all its rounds.
        """
        rounds = [record for n in range(1, number) if (record := self.record(n)) is not None]
        taken: dict[str, Spent] = {}
        looked_at = []
        for record in rounds:
            taken |= record.spent
            told = RoundSeen(record.promoted, record.diversity, total(taken.values()))
            looked_at.append(told)
        taken |= spent
        looked_at.append(RoundSeen(seen.promoted, seen.diversity, total(taken.values())))
        last = why_stop(looked_at, config.stop, config.budget, config.price) or ""
        if number >= config.rounds:
            last = f"{number} of {config.rounds} rounds are played"
        made = RoundRecord(number, seen.promoted, seen.diversity, model, last, spent)
        name = self._path(f"round-{number}.json")
        self._root.create(name, (json.dumps(asdict(made), indent=1) + "\n").encode())
        kept = self.record(number)
        assert kept is not None
        return kept

    def claim(self, number: int, run: str, is_lost: Callable[[str], bool]) -> bool:
        """Whether this run is the one that submits a round: the first that asks is, or where that
        was lost, maybe before it did, the first that asks then.
        """
        name = f"next-{number}"
        while not self._root.create(self._path(name), run.encode()):
            owner = (self._root.read(self._path(name)) or b"").decode()
            if owner == run:
                return True
            if not is_lost(owner):
                return False
            name = f"next-{number}-after-{owner}"
        return True

    def stop(self) -> None:
        """Lets no further round of the chain begin."""
        self._root.create(self._path("stop"), b"stopped\n")

    def refuse_stopped(self) -> None:
        """Raises ConfigError where somebody stopped it."""
        if self.stopped:
            raise ConfigError(
                f"chain {self.name}: expected one that goes on, saw that it was cancelled: give "
                "another name"
            )

    @property
    def stopped(self) -> bool:
        """Whether somebody stopped it."""
        return self._root.read(self._path("stop")) is not None

    def _path(self, name: str) -> str:
        return f"chains/{self.name}/{name}"
