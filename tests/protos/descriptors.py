"""Compiles protos for the tests and walks over everything that they declare."""

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.message import Message

from hatch_build import descriptor_set

PROTOS = Path(__file__).parents[2] / "protos"


def compile_folder(root: Path) -> FileDescriptorSet:
    """The descriptors of every proto under root and of what they import, with all comments."""
    with tempfile.NamedTemporaryFile(suffix=".binpb") as file:
        descriptor_set(root, Path(file.name), full=True)
        return FileDescriptorSet.FromString(file.read())


def compile_sources(folder: Path, sources: Mapping[str, str]) -> FileDescriptorSet:
    """The descriptors of the given sources by file name; they are written below folder."""
    for name, source in sources.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return compile_folder(folder)


@dataclass(frozen=True, slots=True)
class Element:
    """One declared thing: its kind, its full name below the package, and what stands above it."""

    kind: str
    """`message`, `field`, `oneof`, `enum`, `enum_value`, `service` or `rpc`."""
    file: str
    name: str
    proto: Message
    comment: str

    @property
    def simple_name(self) -> str:
        """The last part of the name."""
        return self.name.rpartition(".")[2]

    @property
    def parent(self) -> str:
        """The name of what it is declared in; empty at the top of a file."""
        return self.name.rpartition(".")[0]


def elements(file: FileDescriptorProto) -> Iterator[Element]:
    """Everything that a file declares, without what protoc adds (map entries, `_x` oneofs)."""
    comments = {tuple(at.path): at.leading_comments for at in file.source_code_info.location}

    def element(kind: str, name: str, proto: Message, path: tuple[int, ...]) -> Element:
        return Element(kind, file.name, name, proto, comments.get(path, "").strip())

    def enum(proto: EnumDescriptorProto, scope: str, path: tuple[int, ...]) -> Iterator[Element]:
        name = scope + proto.name
        yield element("enum", name, proto, path)
        for i, value in enumerate(proto.value):
            yield element("enum_value", f"{name}.{value.name}", value, (*path, 2, i))

    def message(proto: DescriptorProto, scope: str, path: tuple[int, ...]) -> Iterator[Element]:
        if proto.options.map_entry:
            return
        name = scope + proto.name
        yield element("message", name, proto, path)
        for i, field in enumerate(proto.field):
            yield element("field", f"{name}.{field.name}", field, (*path, 2, i))
        synthetic = {field.oneof_index for field in proto.field if field.proto3_optional}
        for i, oneof in enumerate(proto.oneof_decl):
            if i not in synthetic:
                yield element("oneof", f"{name}.{oneof.name}", oneof, (*path, 8, i))
        for i, nested in enumerate(proto.nested_type):
            yield from message(nested, f"{name}.", (*path, 3, i))
        for i, nested_enum in enumerate(proto.enum_type):
            yield from enum(nested_enum, f"{name}.", (*path, 4, i))

    for i, top in enumerate(file.message_type):
        yield from message(top, "", (4, i))
    for i, top_enum in enumerate(file.enum_type):
        yield from enum(top_enum, "", (5, i))
    for i, service in enumerate(file.service):
        yield element("service", service.name, service, (6, i))
        for j, rpc in enumerate(service.method):
            yield element("rpc", f"{service.name}.{rpc.name}", rpc, (6, i, 2, j))


def upper_snake(pascal: str) -> str:
    """`JudgedAt` as `JUDGED_AT`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", pascal).upper()
