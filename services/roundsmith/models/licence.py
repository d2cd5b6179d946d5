"""What a model folder says of its licence."""

import re
from pathlib import Path

_HEADER = re.compile(r"\A---\n(.*?)^---", re.DOTALL | re.MULTILINE)
_LICENCE = re.compile(r"^license:[ \t]*([^\s#]+)", re.MULTILINE)


def licence_of(folder: Path) -> str:
    """The licence that the header of the folder's README.md names; empty when it names none, or
    `other`.
    """
    card = folder / "README.md"
    header = _HEADER.match(card.read_text("utf-8", "replace")) if card.is_file() else None
    named = _LICENCE.search(header[1]) if header else None
    licence = named[1].strip("\"'") if named else ""
    return "" if licence == "other" else licence
