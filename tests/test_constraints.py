"""The tested versions are whole, and allowed by the requirements that they stand for."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
TESTED_EXTRAS = ("local", "cluster", "track", "dev")


def requirements() -> list[Requirement]:
    """What the project and its tested extras ask for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for name in TESTED_EXTRAS for line in extras[name])]
    return [Requirement(line) for line in lines]


def pins() -> dict[str, str]:
    """The tested version of each package, by its canonical name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): pinned for name, pinned in found}


def test_every_requirement_has_a_tested_version_that_it_allows() -> None:
    pinned = pins()
    missing = [need.name for need in requirements() if canonicalize_name(need.name) not in pinned]
    assert missing == [], "run `make constraints`"
    refused = [
        f"{need} refuses {pinned[canonicalize_name(need.name)]}"
        for need in requirements()
        if pinned[canonicalize_name(need.name)] not in need.specifier
    ]
    assert refused == []


def test_the_stub_generator_is_the_same_for_a_build_and_for_development() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    pinned = pins()
    exact = [Requirement(line) for line in build if "==" in line]
    assert {need.name for need in exact} == {"grpcio-tools", "mypy-protobuf"}
    for need in exact:
        assert pinned[canonicalize_name(need.name)] in need.specifier


def test_the_constraints_name_packages_alone() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    unlike = [
        line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[0-9][\w.!+]*", line)
    ]
    assert unlike == []


def test_the_installed_protobuf_family_is_the_tested_one() -> None:
    """Generated code and its runtime must match: the one family where another version breaks."""
    for name in ("protobuf", "grpcio-tools", "grpcio-reflection", "grpcio-health-checking"):
        assert version(name).split(".")[:2] == pins()[name].split(".")[:2]
