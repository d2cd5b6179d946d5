"""A round's checkpoint as a Hugging Face folder with its card."""

from collections import Counter
from itertools import chain
from pathlib import Path

from roundsmith.errors import ConfigError
from roundsmith.handover.cards import model_card
from roundsmith.handover.filled import filled
from roundsmith.handover.round import FinishedRound, refuse_untold
from roundsmith.models.licence import known_licence
from roundsmith.store import EXAMPLES, PAIRS
from roundsmith.types import Row

CARD = "README.md"


def export_checkpoint(of: FinishedRound, out: Path, taken_back: str | None = None) -> Path:
    """Writes the folder, checked against its weight version, and its card, which says why its
    promotion was `taken_back`, where it was; the folder.

    Raises ConfigError when there is something at the place, StoreError when the store has not all
    that the card tells of.
    """
    if out.exists():
        raise ConfigError(f"--out {out}: expected no such folder, saw one: name another")
    refuse_untold(of)
    with filled(out) as under_way:
        folder = of.store.folder(of.checkpoint.of_kind("folder")[0])
        of.store.fetch_folder(folder, under_way)
        (under_way / CARD).write_text(model_card(of, _sources(of), taken_back), "utf-8")
    return out


def _sources(of: FinishedRound) -> list[tuple[str, str, int]]:
    """How many rows are of each source and licence, of all trainings that it rests on."""
    sources: Counter[tuple[str, str]] = Counter()
    rows = [one.rows for one in of.taught]
    examples, pairs = of.store.read_all(EXAMPLES, *rows), of.store.read_all(PAIRS, *rows)
    for row in chain[Row](examples, pairs):
        sources[row.provenance.source, known_licence(row.provenance.licence)] += 1
    return [(source, licence, count) for (source, licence), count in sorted(sources.items())]
