"""Which preset a comparison is played by: that of its models."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.commands.reproduce_run import ATOMS_BASE, preset_of
from roundsmith.errors import ConfigError
from roundsmith.lab import MODEL
from roundsmith.lab.train import MANIFEST

HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_what_the_lab_trained_is_played_by_its_preset_in_any_order(tmp_path: Path) -> None:
    shutil.copy(MODEL / MANIFEST, tmp_path)
    trained = str(tmp_path)
    assert preset_of(["lab", trained], tmp_path) == preset_of([trained, "lab-1"], tmp_path) == "lab"
    assert preset_of([HUB], tmp_path) in ("laptop", "paper")
    assert preset_of([str(tmp_path / "out" / ATOMS_BASE)], tmp_path / "out") == "lab"


@pytest.mark.parametrize("bases", [("lab", HUB), (HUB, "lab")])
def test_bases_of_different_presets_are_refused_where_none_is_named(
    bases: tuple[str, str], tmp_path: Path
) -> None:
    words = ["reproduce", "atomic", "--out", str(tmp_path), "--dry-run"]
    named = [word for base in bases for word in ("--base", base)]
    done = CliRunner().invoke(app, [*words, *named])
    assert isinstance(done.exception, ConfigError), done.output
    assert "lab for lab" in str(done.exception)
    assert "name one by --preset" in str(done.exception)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--base", HUB), "lab"),
        (("--base", HUB, "--preset", "laptop"), "lab"),
        (("--preset", "laptop"), "laptop"),
        ((), "lab"),
    ],
)
def test_of_all_recipes_the_one_with_a_base_of_its_own_has_the_preset_of_that(
    options: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    words = ["reproduce", "all", "--arm", "sft_grpo", "--out", str(tmp_path), "--dry-run"]
    done = CliRunner().invoke(app, [*words, *options])
    assert done.exit_code == 0, done.output
    assert f"arms of atomic, preset {expected}" in done.output
    assert ("--preset laptop is for that of --base" in done.output) is (len(options) == 4)
