"""Texts as sets of hashed word n-grams, and which of many sets are much alike.

MinHash (Broder, 1997) with banded signatures finds candidates, whose similarity is then computed,
so that nothing is found that is not alike. What is alike is missed as seldom as `miss_rate` says.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
BANDS, ROWS = 32, 4
"""A signature has BANDS x ROWS minima; a pair is a candidate when one band is the same."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SEED = 20_250_101


def words_of(text: str) -> list[str]:
    """The words and numbers of a text in lower case, composed (NFKC): an accent may be a character
    of its own in one file and not in another.
    """
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())


def shingles(words: Sequence[str], n: int) -> Hashes:
    """The hashes of the n-grams of words in order, [max(0, words - n + 1)]."""
    if len(words) < n:
        return np.empty(0, np.uint64)
    hashed = np.array([_word(word) for word in words], np.uint64)
    grams = np.zeros(len(words) - n + 1, np.uint64)
    for at in range(n):
        grams = _mixed(grams * _MIX + hashed[at : at + len(grams)])
    return grams


def similarity(one: Hashes, other: Hashes) -> float:
    """Jaccard's: shared members over all members of two sets without repetitions; 0 for none."""
    shared = np.intersect1d(one, other, assume_unique=True).size
    total = one.size + other.size - shared
    return shared / total if total else 0.0


def miss_rate(alike: float) -> float:
    """How often a pair of this similarity is no candidate."""
    return float((1 - alike**ROWS) ** BANDS)


def signature(members: Hashes) -> Hashes:
    """The minima of a set under BANDS x ROWS hash functions, [BANDS, ROWS]. Empty sets have none:
    they must not be asked for.
    """
    hashed = _mixed(members[None, :] * _MULTIPLIERS[:, None] + _OFFSETS[:, None])
    minima: Hashes = hashed.min(axis=1)
    return minima.reshape(BANDS, ROWS)


class Alike:
    """Many sets, which can be asked for one that is at least so similar to another set."""

    def __init__(self, sets: Sequence[Hashes], least: float) -> None:
        self._sets = [np.unique(members) for members in sets]
        self._least = least
        self._by_band: dict[tuple[int, bytes], list[int]] = {}
        for at, members in enumerate(self._sets):
            for band in _bands(members):
                self._by_band.setdefault(band, []).append(at)

    def nearest(self, members: Hashes) -> tuple[int, float] | None:
        """The place of the most similar set, the first of equals, and how similar it is; None where
        none is similar enough.
        """
        own = np.unique(members)
        places = {at for band in _bands(own) for at in self._by_band.get(band, ())}
        best = max(((similarity(own, self._sets[at]), -at) for at in places), default=(0.0, 0))
        return (-best[1], best[0]) if places and best[0] >= self._least else None


def _bands(members: Hashes) -> Iterator[tuple[int, bytes]]:
    if members.size:
        for at, band in enumerate(signature(members)):
            yield at, band.tobytes()


@lru_cache(maxsize=2**16)
def _word(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")


def _mixed(values: Hashes) -> Hashes:
    """Every bit of a value spread over all of it (the finalizer of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_random = np.random.default_rng(_SEED)
_MULTIPLIERS = _random.integers(1, 2**63, BANDS * ROWS, np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS = _random.integers(0, 2**63, BANDS * ROWS, np.uint64)
