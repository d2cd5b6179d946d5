"""Build hook: generates the Python stubs of protos/ beside them, so that an install gives a typed import."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent / "protos"


def generate(root: Path) -> None:
    """Writes *_pb2.py, *_pb2_grpc.py and their .pyi beside every proto under root; raises SystemExit on an error."""
    import grpc_tools
    from grpc_tools import protoc

    google = Path(grpc_tools.__file__).parent / "_proto"
    rpc = Path(sys.modules["google.rpc.status_pb2"].__file__ or "").parents[2] if _import_rpc() else root
    protos = sorted(str(path.relative_to(root)) for path in root.rglob("*.proto"))
    arguments = ["protoc", f"-I{root}", f"-I{google}", f"-I{rpc}", f"--python_out={root}", f"--mypy_out={root}"]
    arguments += [f"--grpc_python_out={root}", f"--mypy_grpc_out={root}", *protos]
    if protoc.main(arguments):
        raise SystemExit("protoc refused the protos; its message stands above")


def _import_rpc() -> bool:
    import google.rpc.status_pb2  # noqa: F401  (googleapis-common-protos ships the .proto beside it)

    return True


class GenerateStubs(BuildHookInterface):  # type: ignore[type-arg]  # hatchling leaves the builder config open
    """Runs `generate` before every build, editable ones too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        generate(ROOT)


if __name__ == "__main__":
    generate(ROOT)
