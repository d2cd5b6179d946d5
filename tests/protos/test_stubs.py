"""`python hatch_build.py` writes what an import needs, wherever it is run."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_build import generate
from tests.protos.descriptors import PROTOS

BUILD_HOOK = PROTOS.parent / "hatch_build.py"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The protos and the build hook as a clean clone has them, with one stub of a deleted proto."""
    shutil.copytree(PROTOS, tmp_path / "protos", ignore=shutil.ignore_patterns("*_pb2*"))
    shutil.copy(BUILD_HOOK, tmp_path / "hatch_build.py")
    (tmp_path / "protos/roundsmith/v1/gone_pb2.py").write_text("")
    return tmp_path


def stubs(root: Path) -> set[str]:
    """The names of all generated files below root, but for what Python has compiled of them."""
    return {path.name for path in root.rglob("*_pb2*.py*") if path.suffix != ".pyc"}


def test_by_hand_it_needs_nothing_on_the_path_and_leaves_nothing_stale(clone: Path) -> None:
    command = [sys.executable, "hatch_build.py"]
    subprocess.run(command, cwd=clone, env={"PATH": "/nowhere"}, check=True)
    made = stubs(clone)
    assert {"task_pb2.py", "task_pb2.pyi"} <= made
    assert {"generator_pb2_grpc.py", "generator_pb2_grpc.pyi"} <= made
    assert not {"task_pb2_grpc.py", "task_pb2_grpc.pyi", "gone_pb2.py"} & made


def test_what_it_writes_is_what_is_imported(clone: Path) -> None:
    generate(clone / "protos")
    installed = stubs(PROTOS)
    assert stubs(clone) == installed
    stale = [
        name
        for name in installed
        if (clone / "protos/roundsmith/v1" / name).read_text()
        != (PROTOS / "roundsmith/v1" / name).read_text()
    ]
    assert stale == [], "run `make protos`"


def test_a_broken_proto_stops_the_build(clone: Path) -> None:
    (clone / "protos/roundsmith/v1/broken.proto").write_text('syntax = "proto3";\nmessage {}\n')
    with pytest.raises(SystemExit, match="refused"):
        generate(clone / "protos")
