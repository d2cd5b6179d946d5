"""What a comparison is played by, and which of its arms can be."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roundsmith.cli import app
from roundsmith.commands.reproduce_run import ATOMS_BASE, preset_of
from roundsmith.commands.run import only_run
from roundsmith.errors import ConfigError
from roundsmith.lab import MODEL
from roundsmith.lab.bases import MANIFEST

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


def test_in_a_folder_that_another_holds_no_base_is_trained(tmp_path: Path) -> None:
    with only_run(tmp_path):
        done = CliRunner().invoke(app, ["reproduce", "atomic", "--out", str(tmp_path)])
    assert isinstance(done.exception, ConfigError), done.output
    assert "expected no other run in this folder, saw one" in str(done.exception)
    assert "training the base" not in done.output
    assert not (tmp_path / ATOMS_BASE).exists()


def test_a_file_of_settings_names_the_preset_and_the_command_line_wins(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('preset = "laptop"\n')
    words = ["reproduce", "atomic", "--config", str(file), "--out", str(tmp_path), "--dry-run"]
    for options, expected in (([], "laptop"), (["--preset", "lab"], "lab")):
        done = CliRunner().invoke(app, [*words, *options])
        assert f"arms of atomic, preset {expected}" in done.output, done.output


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A file of tasks without references."""
    file = tmp_path / "tasks.jsonl"
    splits = ("train", "train", "gate", "final")
    rows = [
        {
            "id": f"add{number}",
            "split": split,
            "description": f"Add {number} to the number.",
            "signature": "def add(x: int) -> int",
            "tests": [f"assert add(1) == {1 + number}"],
        }
        for number, split in enumerate(splits, 3)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def words(tasks: Path, out: Path, *arms: str) -> list[str]:
    """A comparison of dstc's arms on one seed."""
    named = [word for arm in arms for word in ("--arm", arm)]
    given = ["--tasks", str(tasks), "--base", "lab", "--seeds", "1", "--out", str(out)]
    return ["reproduce", "dstc", *given, *named]


LEFT_OUT = "gold is left out: it is trained on references, and none of the 2 training tasks of seed"


@pytest.mark.parametrize("referenced", [False, True])
def test_arms_on_references_are_left_out_where_there_are_none(
    referenced: bool, bare: Path, tmp_path: Path
) -> None:
    if referenced:
        first, *rest = bare.read_text().splitlines(keepends=True)
        row = json.loads(first) | {"reference": "def add(x: int) -> int:\n    return x + 3\n"}
        bare.write_text("".join([json.dumps(row) + "\n", *rest]))
    given = words(bare, tmp_path / "out", "gold", "untrained")
    done = CliRunner().invoke(app, [*given, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert (LEFT_OUT in " ".join(done.output.split())) is not referenced
    steps = [line.split()[0] for line in done.output.splitlines() if line.strip()]
    assert ("corpus" in steps) is referenced


@pytest.mark.parametrize("how", [(), ("--no-tune",), ("--dry-run",)])
def test_where_no_arm_can_be_trained_it_is_refused_before_anything_is_drawn(
    how: tuple[str, ...], bare: Path, tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, [*words(bare, tmp_path / "out", "gold"), *how])
    assert isinstance(done.exception, ConfigError), done.output
    assert LEFT_OUT in str(done.exception)
    assert "name others by --arm" in str(done.exception)
    assert {made.name for made in tmp_path.glob("out/store/manifests/*")} <= {"model", "tasks"}


@pytest.mark.slow
def test_the_other_arms_are_played_where_one_lacks_references(bare: Path, tmp_path: Path) -> None:
    given = [*words(bare, tmp_path / "out", "gold", "untrained"), "--no-tune"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert LEFT_OUT in " ".join(done.output.split())
    found = json.loads((tmp_path / "out/dstc/results.json").read_text())
    assert list(found["arms"]) == ["untrained"]


def test_of_all_recipes_those_are_left_out_that_can_not_work_on_the_tasks(
    bare: Path, tmp_path: Path
) -> None:
    _, _, *given = words(bare, tmp_path / "out", "gold")
    every = ["reproduce", "all", *given, "--no-tune", "--dry-run"]
    done = CliRunner().invoke(app, [*every, "--arm", "dpo_random_bare"])
    assert done.exit_code == 0, done.output
    told = " ".join(done.output.split())
    assert "gift is left out: gift: saw 0 training tasks with a reference" in told
    assert "arms of dstc" in told
    assert "steps of all arms" in told
    done = CliRunner().invoke(app, every)
    assert isinstance(done.exception, ConfigError), done.output
    assert "gift: saw 0 training tasks" in str(done.exception)
    assert f"dstc: {LEFT_OUT}" in str(done.exception)
