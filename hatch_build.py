"""Build hook: writes the Python stubs of protos/ beside them, so that an install is a typed import,
and compiles the sandbox's zygote where there is a C compiler.

By hand: `python hatch_build.py` does the same, and `python hatch_build.py --descriptor-set FILE`
writes the descriptors of protos/ to FILE instead.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

PROTOS = Path(__file__).parent / "protos"
FORKING = Path(__file__).parent / "sandbox-image/roundsmith/sandbox/forking.c"
STUBS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def generate(root: Path) -> None:
    """Writes `_pb2` beside every proto under root, and `_pb2_grpc` where it has a service.

    Stubs whose proto is gone are deleted. Raises SystemExit when protoc refuses a proto.
    """
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    with tempfile.NamedTemporaryFile(suffix=".binpb") as file:
        descriptor_set(root, Path(file.name))
        files = FileDescriptorSet.FromString(file.read()).file
    plugins = [_plugin("protoc-gen-mypy"), _plugin("protoc-gen-mypy_grpc")]
    messages = [proto.name for proto in files]
    services = [proto.name for proto in files if proto.service]
    _protoc(root, [*plugins, f"--python_out={root}", f"--mypy_out=quiet:{root}"], messages)
    if services:
        _protoc(
            root, [*plugins, f"--grpc_python_out={root}", f"--mypy_grpc_out=quiet:{root}"], services
        )
    stems = {root / name.removesuffix(".proto") for name in messages}
    grpc_stems = {root / name.removesuffix(".proto") for name in services}
    for pattern in STUBS:
        suffix = pattern.removeprefix("*")
        for stub in root.rglob(pattern):
            stem = stub.with_name(stub.name.removesuffix(suffix))
            if stem not in (grpc_stems if "_grpc" in suffix else stems):
                stub.unlink()


def descriptor_set(root: Path, out: Path, *, full: bool = False) -> None:
    """Writes the FileDescriptorSet of every proto under root; a full one has imports and comments.

    Raises SystemExit when protoc refuses a proto.
    """
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.proto"))
    flags = ["--include_imports", "--include_source_info"] if full else []
    _protoc(root, [f"--descriptor_set_out={out}", *flags], names)


def _protoc(root: Path, options: list[str], names: list[str]) -> None:
    from grpc_tools import protoc  # type: ignore[import-untyped]  # grpcio-tools ships no types

    # Both packages carry the .proto files of what they generate from, below their own install root.
    google = distribution("grpcio-tools").locate_file("grpc_tools/_proto")
    rpc = distribution("googleapis-common-protos").locate_file("")
    if protoc.main(["protoc", f"-I{root}", f"-I{google}", f"-I{rpc}", *options, *names]):
        raise SystemExit(f"protoc refused the protos under {root}; its message stands above")


def _plugin(name: str) -> str:
    """The option that names mypy-protobuf's own script, which need not be on PATH."""
    for file in distribution("mypy-protobuf").files or []:
        if file.name == name:
            return f"--plugin={name}={Path(str(file.locate())).resolve()}"
    raise SystemExit(f"mypy-protobuf is installed without its script {name}; install it again")


def compile_forking(source: Path) -> bool:
    """Compiles `forking.so` beside its source; whether there is one now. Without a compiler, or
    where it fails, the sandbox starts its programs from Python, slower and as safe.
    """
    library = source.with_suffix(".so")
    partial = library.with_suffix(".partial")
    compiler = next(filter(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang")), None)
    if compiler is None:
        library.unlink(missing_ok=True)
        return False
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(partial), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        library.unlink(missing_ok=True)
        print(f"{source.name}: Python does its work, because {done.stderr}", file=sys.stderr)
        return False
    partial.replace(library)
    return True


class GenerateStubs(BuildHookInterface):  # type: ignore[type-arg]  # hatchling leaves the builder's config open
    """Runs `generate` and `compile_forking` before every build, editable ones too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generates before hatchling collects the files. A source distribution holds no library."""
        generate(PROTOS)
        if self.target_name == "wheel" and compile_forking(FORKING):
            build_data["artifacts"].append(FORKING.with_suffix(".so").name)
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{next(platform_tags())}"


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            generate(PROTOS)
            compile_forking(FORKING)
        case ["--descriptor-set", out]:
            descriptor_set(PROTOS, Path(out))
        case _:
            raise SystemExit(f"usage: python {sys.argv[0]} [--descriptor-set FILE]")
