"""Writes what an image is made of as CycloneDX: packages of Python by their metadata, of Debian by
dpkg's. Run in the image, by its Python; the standard library is enough.

    python sbom.py FILE
"""

import json
import sys
import uuid
from collections.abc import Iterator
from email.parser import HeaderParser
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

STATUS = Path("/var/lib/dpkg/status")


def bill(status: Path = STATUS) -> dict[str, Any]:
    """The bill of materials of the Python that runs this, and of the system around it."""
    components = sorted((*python(), *debian(status)), key=lambda c: str(c["bom-ref"]))
    named = "\n".join(str(component["bom-ref"]) for component in components)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, named)}",
        "version": 1,
        "components": components,
    }


def python() -> Iterator[dict[str, Any]]:
    """The installed distributions, once each."""
    seen = set()
    for found in distributions():
        told = found.metadata
        name = told["Name"].lower().replace("_", "-")
        if name not in seen:
            seen.add(name)
            (licence,) = told.get_all("License-Expression") or (None,)
            yield _component(name, found.version, "pypi/", licence)


def debian(status: Path) -> Iterator[dict[str, Any]]:
    """The installed packages of a dpkg; none where there is no dpkg."""
    if not status.exists():
        return
    for text in status.read_text("utf-8").split("\n\n"):
        fields = HeaderParser().parsestr(text)
        if fields["Status"] == "install ok installed":
            yield _component(fields["Package"], fields["Version"], "deb/debian/", None)


def _component(name: str, version: str, kind: str, licence: str | None) -> dict[str, Any]:
    purl = f"pkg:{kind}{name}@{version.replace('+', '%2B').replace(':', '%3A')}"
    made: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": version}
    made["purl"] = purl
    if licence:
        made["licenses"] = [{"expression": licence}]
    return made


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(f"usage: {sys.argv[0]} FILE")
    Path(sys.argv[1]).write_text(json.dumps(bill(), indent=1) + "\n")
