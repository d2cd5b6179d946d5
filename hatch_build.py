"""Build hook: writes the Python stubs of protos/ beside them, so that an install is a typed import.

By hand: `python hatch_build.py` does the same, and `python hatch_build.py --descriptor-set FILE`
writes the descriptors of protos/ to FILE instead.
"""

import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROTOS = Path(__file__).parent / "protos"
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


class GenerateStubs(BuildHookInterface):  # type: ignore[type-arg]  # hatchling leaves the builder's config open
    """Runs `generate` before every build, editable ones too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generates before hatchling collects the files."""
        generate(PROTOS)


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            generate(PROTOS)
        case ["--descriptor-set", out]:
            descriptor_set(PROTOS, Path(out))
        case _:
            raise SystemExit(f"usage: python {sys.argv[0]} [--descriptor-set FILE]")
