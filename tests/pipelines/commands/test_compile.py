"""`roundsmith compile` as a person types it."""

from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types
from typer.testing import CliRunner

from roundsmith.cli import app

pytest.importorskip("kfp", reason="needs the extra cluster")


def test_image_and_installation_reach_the_pipeline(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    arguments = ["compile", "--output", str(path), "--image", "r/x:1", "--release", "mine"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "a round of mine, image r/x:1" in done.output
    ir, platform = yaml.safe_load_all(path.read_text())
    images = {made["container"]["image"] for made in ir["deploymentSpec"]["executors"].values()}
    assert images == {"r/x:1"}
    assert "mine-cluster" in str(platform)


def test_the_objects_are_called_as_the_installation_is(tmp_path: Path) -> None:
    path = tmp_path / "objects.yaml"
    arguments = ["compile", "--output", str(path), "--manifests", "--release", "mine"]
    for more, name in (((), "mine"), (("--name", "rounds"), "rounds")):
        done = CliRunner().invoke(app, [*arguments, *more], catch_exceptions=False)
        assert done.exit_code == 0
        assert next(yaml.safe_load_all(path.read_text()))["metadata"]["name"] == name


def test_the_help_shows_an_example() -> None:
    done = CliRunner().invoke(app, ["compile", "--help"], catch_exceptions=False)
    assert "roundsmith compile --release roundsmith --output pipeline.yaml" in done.output
