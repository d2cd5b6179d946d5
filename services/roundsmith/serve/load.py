"""How much is under way, for all callers and for each: what would be too much is refused, for now.

One caller may have half of all, so that it can not fill what others need; what it asks for while it
has nothing under way is its own bound.
"""

from collections import Counter

from roundsmith.errors import Overloaded


class Load:
    """So much of something, such as items, is under way at most."""

    def __init__(self, what: str, most: int) -> None:
        self._what, self._most = what, most
        self._by_caller: Counter[str] = Counter()
        self.total = 0

    def begin(self, caller: str, amount: int) -> None:
        """Counts what a caller begins. Raises Overloaded when it would be too much."""
        self.refuse(caller, amount)
        self.total += amount
        self._by_caller[caller] += amount

    def refuse(self, caller: str, amount: int) -> None:
        """Raises Overloaded when so much would be too much."""
        own = self._by_caller.get(caller, 0)
        if self.total + amount > self._most:
            whose, seen, most = "all callers", self.total, self._most
        elif own and own + amount > self._most // 2:
            whose, seen, most = "one caller", own, self._most // 2
        else:
            return
        raise Overloaded(
            f"expected at most {most} {self._what} of {whose} under way, saw {seen} and {amount} "
            "more: send the item again after the time in RetryInfo"
        )

    def end(self, caller: str, amount: int) -> None:
        """It is not under way any more."""
        self.total -= amount
        self._by_caller[caller] -= amount
        if not self._by_caller[caller]:
            del self._by_caller[caller]
