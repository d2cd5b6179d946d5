"""The scripts that build the images and install the chart: one registry is told to both."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.charts.rendering import CHART

CHARTS = CHART.parent
HELM = """#!/bin/sh
while [ $# -gt 0 ]; do
  if [ "$1" = --values ]; then shift; cat "$1"; fi
  shift
done
"""
"""Prints the values that it is given."""
DOCKER = """#!/bin/sh
echo "$@" >> "$ASKED"
"""
"""Keeps what it was asked."""


def program(folder: Path, name: str, text: str) -> Path:
    """An executable file."""
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def installed_with(folder: Path, **environment: str) -> dict[str, Any]:
    """The values that the chart is installed with."""
    done = subprocess.run(
        [str(CHARTS / "install")],
        env={
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(folder / "config"),
            "HELM": str(program(folder, "helm", HELM)),
            "PYTHON": sys.executable,
            **environment,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_nodes_get_images_from_the_registry_that_they_were_built_for(tmp_path: Path) -> None:
    registry = "registry.example.org/team/"
    assert installed_with(tmp_path, REGISTRY=registry)["global"] == {"imageRegistry": registry}
    assert installed_with(tmp_path)["global"] == {"imageRegistry": ""}


@pytest.mark.parametrize(
    ("registry", "pushed"), [("", []), ("registry.example.org/", ["push registry.example.org/x:1"])]
)
def test_an_image_is_pushed_where_a_registry_is_named(
    registry: str, pushed: list[str], tmp_path: Path
) -> None:
    program(tmp_path, "docker", DOCKER)
    asked = tmp_path / "asked"
    subprocess.run(
        [CHARTS / "images/docker-build", tmp_path, f"{registry}x:1", "--target", "control"],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "REGISTRY": registry,
            "ASKED": str(asked),
        },
        check=True,
    )
    built = f"build --tag {registry}x:1 --target control {tmp_path}"
    assert asked.read_text().splitlines() == [built, *pushed]
