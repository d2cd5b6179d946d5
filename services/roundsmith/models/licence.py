"""Which licence is named, by a row or by a model's folder, and whether one is."""

import re
from pathlib import Path

_HEADER = re.compile(r"\A---\n(.*?)^---", re.DOTALL | re.MULTILINE)
_LICENCE = re.compile(r"^license:[ \t]*([^\s#]+)", re.MULTILINE)
_UNKNOWN = frozenset(
    {
        *("", "-", "?", "n/a", "na", "no", "noassertion", "none", "null"),
        *("other", "tbd", "unknown", "unlicensed", "unspecified"),
    }
)
"""Words that name no licence, in any case; NOASSERTION and NONE are SPDX's."""


def known_licence(named: object) -> str:
    """The licence that a field names; empty where it is no text, or a word for none that is known.

    A list, as some corpora have it, is known where all that it names are.
    """
    if isinstance(named, list | tuple):
        each = [known_licence(one) for one in named]
        return " AND ".join(sorted(set(each))) if each and all(each) else ""
    text = named.strip() if isinstance(named, str) else ""
    return "" if text.casefold() in _UNKNOWN else text


def licence_of(folder: Path) -> str:
    """The licence that the header of the folder's README.md names; empty when it names none that is
    known.
    """
    card = folder / "README.md"
    header = _HEADER.match(card.read_text("utf-8", "replace")) if card.is_file() else None
    named = _LICENCE.search(header[1]) if header else None
    return known_licence(named[1].strip("\"'")) if named else ""
