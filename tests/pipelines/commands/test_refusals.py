"""What a user gets wrong: one clear message with a remedy, exit 2 or 1, and nothing lost."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from roundsmith.lab import MODEL
from roundsmith.pair_builder.rules import load_rules
from roundsmith.steps.config import RECIPES
from tests.small_disk import mounted

GOOD = {
    "id": "double",
    "description": "Double the number.",
    "signature": "def double(x: int) -> int",
    "tests": ["assert double(1) == 2"],
}


def roundsmith(*arguments: str | Path) -> tuple[int, str]:
    """Exit code and standard error of a command."""
    words = [sys.executable, "-m", "roundsmith.cli", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, " ".join(done.stderr.split())


def test_an_unknown_recipe_is_told_with_the_list(tmp_path: Path) -> None:
    code, said = roundsmith("run", "--recipe", "nosuch", "--out", tmp_path / "run")
    assert code == 2
    known = ", ".join(sorted(load_rules([RECIPES])))
    assert f"'nosuch': expected one of {known}:" in said
    assert not (tmp_path / "run").exists()


def test_a_broken_row_is_told_by_file_line_and_field_before_a_model_is_loaded(
    tmp_path: Path,
) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD | {"id": "b", "tests": []}) + "\n")
    code, said = roundsmith("run", "--tasks", file, "--model", "/no/such/model", "--out", tmp_path)
    assert code == 2
    assert "tasks.jsonl:2: tests: saw" in said
    assert "expected" in said


@pytest.mark.parametrize(
    ("names", "seen"),
    [((), "config.json"), (("pytorch_model.bin",), "pickled weights (pytorch_model.bin)")],
)
def test_a_model_folder_without_safetensors_is_refused(
    tmp_path: Path, names: tuple[str, ...], seen: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copy(MODEL / "config.json", folder)
    for name in names:
        (folder / name).write_bytes(b"")
    code, said = roundsmith("run", "--model", folder, "--tasks", "lab", "--out", tmp_path / "run")
    assert code == 2
    assert seen in said
    assert "expected *.safetensors" in said


def test_a_quantized_model_is_refused_before_anything_is_sampled(tmp_path: Path) -> None:
    folder = shutil.copytree(MODEL, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8"}
    (folder / "config.json").write_text(json.dumps(config))
    code, said = roundsmith("run", "--preset", "lab", "--model", folder, "--out", tmp_path / "run")
    assert code == 2
    assert "saw quantized weights (fp8), expected those of full precision" in said


def test_a_port_in_use_is_told_before_anything_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = roundsmith("serve", "generator", "--port", str(port), "--model", "/no/such")
    assert code == 2
    assert f"127.0.0.1:{port}: expected a free port" in said
    assert "--port" in said


def test_a_setting_of_the_wrong_kind_is_told_by_name(tmp_path: Path) -> None:
    code, said = roundsmith("run", "--set", "iterations=many", "--out", tmp_path / "run")
    assert code == 2
    assert "iterations" in said
    assert "'many'" in said


@pytest.mark.parametrize("command", [("run",), ("eval", "lab")])
def test_two_runs_in_one_folder_are_one_too_many(tmp_path: Path, command: tuple[str, ...]) -> None:
    import fcntl

    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, said = roundsmith(*command, "--out", tmp_path)
    assert code == 2
    assert "expected no other run in this folder" in said


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "1500k") as small:
        (small / "run").mkdir()
        (small / "run/run.json").write_text("of before")
        (small / "run/before").hardlink_to(small / "run/run.json")
        code, said = roundsmith("run", "--out", small / "run", "--limit", "4")
        assert code == 1
        assert "space" in said
        assert "run again" in said
        finished = list((small / "run/store/manifests").rglob("*.json"))
        assert [p.parent.name for p in finished] == ["tasks"]  # the model did not fit
        assert not [p for p in (small / "run").rglob("*partial*") if p.is_file()]
        assert (small / "run/before").read_text() == "of before", "written over in place"
        assert json.loads((small / "run/run.json").read_text())["limit"] == 4
    assert os.listdir(small) == []


@pytest.mark.parametrize("option", ["-k", "--k"])
def test_k_is_given_in_one_letter_or_as_a_word(tmp_path: Path, option: str) -> None:
    code, said = roundsmith("eval", "lab", option, "1", option, "8", "--out", tmp_path / "eval")
    assert code == 2
    assert said.endswith("evaluation: ks: expected 1 to the number of samples, 1, saw 1, 8")


@pytest.mark.parametrize(
    ("arguments", "below"),
    [(("run",), ""), (("run",), "x"), (("eval", "lab"), ""), (("serve", "all"), "")],
)
def test_an_out_that_can_be_no_folder_is_told(
    tmp_path: Path, arguments: tuple[str, ...], below: str
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    code, said = roundsmith(*arguments, "--out", taken / below)
    assert code == 2
    assert f"--out {taken / below}: expected a folder that can be made and written, saw" in said
    assert "name another folder" in said
    assert taken.read_text() == "a file"


def test_an_out_where_nothing_can_be_made_is_told() -> None:
    code, said = roundsmith("run", "--out", "/proc/x")
    assert code == 2
    assert "--out /proc/x: expected a folder that can be made" in said


def without_rights(*arguments: str | Path) -> str:
    """What a command says that file modes bind, as they do not bind root; skips the test where that
    can not be had.
    """
    bound = [shutil.which("setpriv") or "", "--bounding-set", "-dac_override,-dac_read_search"]
    if os.geteuid() != 0:
        bound = []
    elif not bound[0] or subprocess.run([*bound, "true"], check=False).returncode:
        pytest.skip("needs setpriv, and the right to give rights up")
    words = [*bound, sys.executable, "-m", "roundsmith.cli", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    return " ".join(done.stderr.split())


def test_an_out_in_a_folder_that_is_read_only_says_which_to_make_writable(tmp_path: Path) -> None:
    (closed := tmp_path / "closed").mkdir(mode=0o555)
    for out in (closed, closed / "run"):
        said = without_rights("run", "--out", out)
        assert f"--out {out}: expected a folder that can be made and written, saw Permis" in said
        assert said.endswith(f": make {closed} writable for you, or name another folder")


def test_a_file_that_another_user_left_is_told_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch(mode=0o444)
    said = without_rights("run", "--limit", "4", "--out", tmp_path)
    assert f"{tmp_path}/.lock: expected a file or folder that you may read and write, saw" in said
