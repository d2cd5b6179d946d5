"""The images: their Dockerfile has what the chart asks for, and they say what they are made of."""

import importlib.metadata
import json
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml  # type: ignore[import-untyped]  # ships no types

from tests.charts.rendering import CHART

ROOT = CHART.parents[1]
DOCKERFILE = (ROOT / "charts/images/Dockerfile").read_text()
SANDBOX = (ROOT / "sandbox-image/Dockerfile").read_text()
EXTRAS = runpy.run_path(str(ROOT / "charts/images/context.py"))["EXTRAS"]
STAGES = ("base", "torch")
"""What targets are built on; no images."""
STATUS = """Package: libc6
Status: install ok installed
Version: 2.36-9+deb12u14

Package: gone
Status: deinstall ok config-files
Version: 1
"""


def test_every_image_that_the_chart_names_is_a_target_and_every_target_is_named() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)) - {*STAGES}
    images = yaml.safe_load((CHART / "values.yaml").read_text())["images"]
    named = {role: image["repository"] for role, image in images.items() if isinstance(image, dict)}
    assert named == {role: f"roundsmith-{role}" for role in (*targets, "sandbox")}
    assert set(EXTRAS) == targets
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for names in EXTRAS.values():
        assert set(names) <= set(extras["optional-dependencies"])


def test_executor_and_pair_builder_carry_no_torch() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for role in ("control", "executor"):
        needed = [one for e in EXTRAS[role] for one in extras["optional-dependencies"][e]]
        assert not [one for one in needed if re.match("torch|vllm|transformers", one)]


def test_every_image_whose_command_sends_spans_has_what_sends_them() -> None:
    sending = {role for role, extras in EXTRAS.items() if "otel" in extras}
    targets = [part for part in DOCKERFILE.split("\nFROM ") if 'ENTRYPOINT ["roundsmith"]' in part]
    assert sending == {part.split("\n")[0].partition(" AS ")[2] for part in targets}
    assert "opentelemetry" not in SANDBOX
    for pins in ("constraints.txt", "charts/images/vllm-constraints.txt"):
        names = {line.partition("==")[0] for line in (ROOT / pins).read_text().splitlines()}
        assert {re.split("[<>=]", one)[0] for one in _extras()["otel"]} <= names


def test_every_image_runs_as_nobody_in_particular_says_its_version_and_has_its_bill() -> None:
    parts = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    images = [part for part in parts if part.split("\n")[0].partition(" AS ")[2] in EXTRAS]
    assert len(images) == 5
    for image in (*images, SANDBOX):
        assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", image, re.MULTILINE)
        assert "sbom.py" in image
        assert 'org.opencontainers.image.version="${VERSION}"' in image
        assert re.search(r"^(ENTRYPOINT|CMD) \[", image, re.MULTILINE)
    for line in DOCKERFILE.splitlines():
        assert "pip install" not in line or "--constraint" in line or "--no-deps" in line


def test_the_generator_has_a_compiler_for_triton() -> None:
    # Without one its first kernel ends with "Failed to find C compiler".
    (image,) = (part for part in DOCKERFILE.split("\nFROM ") if "AS generator\n" in part)
    (installed,) = re.findall(r"apt-get install (.*?) &&", image)
    assert {"gcc", "libc6-dev"} <= set(installed.split())


def test_the_generators_versions_are_pinned_and_fit_what_every_image_has() -> None:
    lines = (ROOT / "charts/images/vllm-constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert f"vllm=={pins['vllm']}" in _extras()["generator"]
    assert pins["protobuf"].startswith("6.")
    assert pins["grpcio-health-checking"].startswith("1.81.")


def _extras() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: dict[str, list[str]] = project["optional-dependencies"]
    return found


def test_a_bill_lists_what_python_and_dpkg_say_is_there(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(STATUS)
    script = str(ROOT / "sandbox-image/sbom.py")
    made = runpy.run_path(script)["bill"](status)
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    found = {part["purl"] for part in made["components"]}
    assert f"pkg:pypi/grpcio@{importlib.metadata.version('grpcio')}" in found
    assert "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14" in found
    assert not [purl for purl in found if "gone" in purl]
    assert len(found) == len(made["components"])


def test_the_bill_is_written_by_the_python_of_an_image_alone(tmp_path: Path) -> None:
    file = tmp_path / "sbom.json"
    script = str(ROOT / "sandbox-image/sbom.py")
    subprocess.run([sys.executable, "-I", script, str(file)], check=True)
    assert json.loads(file.read_text())["components"]
