"""What is installed is whole: the wheel is built, put into empty environments and used there."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email import message_from_string
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
SOURCE_ROOTS = ("services", "pipelines", "sandbox-image", "protos")
EXTRAS_PROVIDE = {
    "accelerate",
    "datasets",
    "kfp",
    "kserve",
    "kubernetes",
    "pandas",
    "s3fs",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
    "trl",
    "vllm",
    "yaml",
}
IMPORT_ALL = """
import importlib, json, sys
missing = {}
for name in json.load(sys.stdin):
    try:
        module = importlib.import_module(name)
        assert (module.__file__ or "").startswith(sys.prefix), module.__file__
    except ModuleNotFoundError as error:
        missing[name] = error.name
print(json.dumps(missing))
"""

pytestmark = pytest.mark.slow


def run(*command: object, stdin: str = "", cwd: Path | None = None) -> str:
    """What a command prints; it must succeed, with none of this environment's Python settings."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}
    words = [str(word) for word in command]
    done = subprocess.run(
        words, input=stdin, capture_output=True, text=True, cwd=cwd, env=environment, check=False
    )
    assert done.returncode == 0, (
        f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    )
    return done.stdout


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources alone, without stubs, as a clean clone has them."""
    folder = tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    generated = shutil.ignore_patterns("*_pb2*", "__pycache__")
    for root in SOURCE_ROOTS:
        shutil.copytree(ROOT / root, folder / root, ignore=generated)
    return folder


@pytest.fixture(scope="module")
def wheel(sources: Path) -> Path:
    """The wheel, built from the sources in an environment that pip isolates."""
    out = sources.parent / f"{sources.name}-wheel"
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", out, sources)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def modules(wheel: Path) -> list[str]:
    """The dotted names of all modules in the wheel but those that run when imported."""
    names = zipfile.ZipFile(wheel).namelist()
    found = [name.removesuffix(".py").replace("/", ".") for name in names if name.endswith(".py")]
    return sorted(n.removesuffix(".__init__") for n in found if not n.endswith(".__main__"))


def empty_environment(folder: Path) -> Path:
    """The interpreter of a fresh virtual environment."""
    venv.create(folder, with_pip=True)
    return folder / "bin/python"


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the wheel and its base requirements, downloaded anew: no torch."""
    python = empty_environment(tmp_path_factory.mktemp("base"))
    run(python, "-m", "pip", "install", "--quiet", "-c", CONSTRAINTS, wheel)
    return python


@pytest.fixture(scope="module")
def full(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the wheel alone, which borrows all other packages from this environment.

    A path file does not read the borrowed folder's own path files, so that the editable install of
    this repository stays out.
    """
    python = empty_environment(tmp_path_factory.mktemp("full"))
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    purelib = next((python.parents[1] / "lib").glob("python3*/site-packages"))
    (purelib / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_wheel_holds_every_source_and_every_stub(wheel: Path, sources: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    held = {name for name in names if not re.search(r"_pb2|dist-info", name)}
    assert len(names) == len(set(names)), "one path twice"
    assert held == {
        path.relative_to(sources / root).as_posix()
        for root in SOURCE_ROOTS
        for path in (sources / root / "roundsmith").rglob("*")
        if path.is_file() and "_pb2" not in path.name
    }
    for proto in (sources / "protos").rglob("*.proto"):
        stem = proto.relative_to(sources / "protos").with_suffix("").as_posix()
        assert {f"{stem}_pb2.py", f"{stem}_pb2.pyi"} <= set(names)
        has_service = re.search(r"^service ", proto.read_text(), re.MULTILINE) is not None
        assert (f"{stem}_pb2_grpc.py" in names) == (f"{stem}_pb2_grpc.pyi" in names) == has_service
    assert "roundsmith/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_source_distribution_builds_the_same_wheel(sources: Path, wheel: Path) -> None:
    out = sources.parent / f"{sources.name}-dist"
    run(sys.executable, "-m", "build", "--installer", "uv", "--outdir", out, sources)
    again = next(out.glob("*.whl"))
    assert contents(again) == contents(wheel)


def contents(wheel: Path) -> dict[str, int]:
    """The checksum of every file of a wheel."""
    return {info.filename: info.CRC for info in zipfile.ZipFile(wheel).infolist()}


def test_the_base_install_imports_every_module_that_needs_no_extra(
    base: Path, modules: list[str]
) -> None:
    missing = json.loads(run(base, "-c", IMPORT_ALL, stdin=json.dumps(modules)))
    provided = {name for name, absent in missing.items() if absent.split(".")[0] in EXTRAS_PROVIDE}
    assert {name: absent for name, absent in missing.items() if name not in provided} == {}
    foundations = ("types", "wire", "clients", "serve", "store", "statistics", "sandbox", "v1")
    optional = {
        "roundsmith.sandbox.arrays"
    }  # loaded beside pandas only, in the profile `scientific`
    assert not [
        name for name in missing if name.split(".")[1] in foundations and name not in optional
    ]


def test_the_base_install_has_a_command_line(base: Path, tmp_path: Path) -> None:
    if find_spec("roundsmith.cli") is None:
        pytest.skip("roundsmith.cli is not written")
    assert "run" in run(base.parent / "roundsmith", "--help", cwd=tmp_path)


def test_the_base_install_is_typed(base: Path, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(
        "from roundsmith.v1.task_pb2 import Task\n"
        "from roundsmith.verdicts import Verdict\n"
        "reveal_type(Task().description)\nreveal_type(Verdict.PASS)\n"
    )
    mypy = (sys.executable, "-m", "mypy", "--strict", "--python-executable", base, "user.py")
    seen = run(*mypy, cwd=tmp_path)
    assert 'Revealed type is "str"' in seen
    assert "Verdict" in seen


def test_every_module_imports_where_all_extras_are(full: Path, modules: list[str]) -> None:
    missing = json.loads(run(full, "-c", IMPORT_ALL, stdin=json.dumps(modules)))
    assert {name: absent for name, absent in missing.items() if absent != "vllm"} == {}


def test_a_small_lab_round_runs_from_the_wheel(full: Path, tmp_path: Path) -> None:
    if find_spec("roundsmith.cli") is None:
        pytest.skip("roundsmith.cli is not written")
    sizes = ("--limit", 3, "--eval-limit", 3, "--no-control", "--set", "iterations=1")
    command = (full.parent / "roundsmith", "run", "--recipe", "gift", "--preset", "lab", *sizes)
    run(*command, "--out", "runs/lab", cwd=tmp_path)
    folder = tmp_path / "runs/lab/round-1"
    result = json.loads((folder / "summary.json").read_text())["result"]
    assert (result["recipe"], result["preset"]) == ("gift", "lab")
    assert result["pass_at_k"]
    assert (folder / "report.html").stat().st_size > 0
    assert list((folder / "checkpoint").glob("*.safetensors"))


def resolved(base: Path, wheel: Path, extras: str, *options: object) -> dict[str, str]:
    """The versions that a wheel with these extras would be installed with, by uv, which reads of
    large wheels only what they require.
    """
    words = (
        sys.executable,
        "-m",
        "uv",
        "pip",
        "compile",
        "--quiet",
        "--no-header",
        "--no-annotate",
    )
    if index := os.environ.get("PIP_INDEX_URL"):
        options += ("--default-index", index)
    named = f"roundsmith[{extras}] @ {wheel.as_uri()}\n"
    lines = run(*words, "--no-cache", "--python", base, *options, "-", stdin=named).splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def test_all_extras_but_vllm_resolve_together_with_the_tested_versions(
    base: Path, wheel: Path
) -> None:
    chosen = resolved(base, wheel, "local,cluster,track,dev", "-c", CONSTRAINTS)
    assert {"torch", "kfp", "kserve", "pytest", "wandb"} <= set(chosen)
    pinned = dict(
        line.split("==") for line in CONSTRAINTS.read_text().lower().split() if "==" in line
    )
    assert set(chosen) <= {name.replace("_", "-") for name in pinned}


def test_the_vllm_extra_resolves(base: Path, wheel: Path) -> None:
    """Without the tested versions: vLLM pins its own, which need not be the trainer's."""
    assert {"vllm", "torch"} <= set(resolved(base, wheel, "vllm"))


def test_the_extras_are_named_by_role(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
    message = message_from_string(archive.read(metadata).decode())
    by_image = ["executor", "generator", "scorer"]
    by_use = ["cluster", "dev", "local", "otel", "track", "vllm"]
    assert message.get_all("Provides-Extra") == sorted([*by_image, *by_use])
