"""The rules of buf's STANDARD and COMMENTS categories, over descriptors, under buf's names.

Beside them three rules of this project: SERVICE_ALONE (one service a file), GO_PACKAGE_DEFINED and
IMPORT_OWN_OR_GOOGLE, which leaves no room for a cycle of packages. What the compiler of proto3
refuses by itself (required fields, a first enum value other than 0) has no rule here.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

from tests.protos.descriptors import Element, elements, upper_snake

PASCAL = re.compile(r"[A-Z][A-Za-z0-9]*")
LOWER_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
UPPER_SNAKE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
PACKAGE = re.compile(r"[a-z][a-z0-9]*([._][a-z0-9]+)*")
VERSION = re.compile(r"v[1-9][0-9]*(test.*|(p[1-9][0-9]*)?(alpha|beta)[1-9][0-9]*)?")

CASES = {
    "message": ("MESSAGE_PASCAL_CASE", PASCAL),
    "field": ("FIELD_LOWER_SNAKE_CASE", LOWER_SNAKE),
    "oneof": ("ONEOF_LOWER_SNAKE_CASE", LOWER_SNAKE),
    "enum": ("ENUM_PASCAL_CASE", PASCAL),
    "enum_value": ("ENUM_VALUE_UPPER_SNAKE_CASE", UPPER_SNAKE),
    "service": ("SERVICE_PASCAL_CASE", PASCAL),
    "rpc": ("RPC_PASCAL_CASE", PASCAL),
}
LANGUAGE_OPTIONS = (
    "csharp_namespace",
    "go_package",
    "java_multiple_files",
    "java_package",
    "php_namespace",
    "ruby_package",
    "swift_prefix",
)


def problems(files: FileDescriptorSet) -> list[str]:
    """One line a violation: the rule, a colon, where. Empty when the files obey all rules.

    Files below google/ are others': they must be in the set where they are imported, unjudged.
    """
    own = [file for file in files.file if not file.name.startswith("google/")]
    declared = [element for file in own for element in elements(file)]
    home = {f".{file.package}.{e.name}": file.name for file in files.file for e in elements(file)}
    found: list[str] = []
    for file in own:
        found += [f"{rule}: {file.name}" for rule in _file_rules(file, home)]
    for element in declared:
        found += [f"{rule}: {element.file}: {element.name}" for rule in _element_rules(element)]
    found += _package_rules(own)
    found += _message_shared_by_rpcs(declared)
    return found


def _file_rules(file: FileDescriptorProto, home: Mapping[str, str]) -> Iterator[str]:
    folder, _, base = file.name.rpartition("/")
    if file.syntax != "proto3":
        yield "SYNTAX_SPECIFIED"
    if not file.package:
        yield "PACKAGE_DEFINED"
    if folder != file.package.replace(".", "/"):
        yield "PACKAGE_DIRECTORY_MATCH"
    if not PACKAGE.fullmatch(file.package):
        yield "PACKAGE_LOWER_SNAKE_CASE"
    if not VERSION.fullmatch(file.package.rpartition(".")[2]):
        yield "PACKAGE_VERSION_SUFFIX"
    if not LOWER_SNAKE.fullmatch(base.removesuffix(".proto")):
        yield "FILE_LOWER_SNAKE_CASE"
    if not file.options.go_package:
        yield "GO_PACKAGE_DEFINED"
    if file.public_dependency:
        yield "IMPORT_NO_PUBLIC"
    if any(not name.startswith((f"{folder}/", "google/")) for name in file.dependency):
        yield "IMPORT_OWN_OR_GOOGLE"
    if set(file.dependency) - {home.get(name) for name in _types_named(file)}:
        yield "IMPORT_USED"
    if len(file.service) > 1:
        yield "SERVICE_ALONE"


def _types_named(file: FileDescriptorProto) -> Iterator[str]:
    """The full names, with a leading dot, of the messages and enums that fields and rpcs name."""

    def of_message(message: DescriptorProto) -> Iterator[str]:
        yield from (field.type_name for field in message.field)
        for nested in message.nested_type:
            yield from of_message(nested)

    for message in file.message_type:
        yield from of_message(message)
    for service in file.service:
        for rpc in service.method:
            yield from (rpc.input_type, rpc.output_type)


def _element_rules(element: Element) -> Iterator[str]:
    rule, pattern = CASES[element.kind]
    if not pattern.fullmatch(element.simple_name):
        yield rule
    if not element.comment:
        yield f"COMMENT_{element.kind.upper()}"
    match element.proto:
        case EnumDescriptorProto() as enum:
            yield from _enum_rules(enum)
        case ServiceDescriptorProto() as service if not service.name.endswith("Service"):
            yield "SERVICE_SUFFIX"
        case MethodDescriptorProto() as rpc:
            allowed = (rpc.name, element.parent + rpc.name)
            if rpc.input_type.rpartition(".")[2] not in {f"{name}Request" for name in allowed}:
                yield "RPC_REQUEST_STANDARD_NAME"
            if rpc.output_type.rpartition(".")[2] not in {f"{name}Response" for name in allowed}:
                yield "RPC_RESPONSE_STANDARD_NAME"


def _enum_rules(enum: EnumDescriptorProto) -> Iterator[str]:
    if enum.options.allow_alias:
        yield "ENUM_NO_ALLOW_ALIAS"
    for value in enum.value:
        if not value.name.startswith(upper_snake(enum.name) + "_"):
            yield "ENUM_VALUE_PREFIX"
        if value.number == 0 and not value.name.endswith("_UNSPECIFIED"):
            yield "ENUM_ZERO_VALUE_SUFFIX"


def _package_rules(files: Sequence[FileDescriptorProto]) -> Iterator[str]:
    for option in LANGUAGE_OPTIONS:
        values_by_package: dict[str, set[object]] = {}
        for file in files:
            values_by_package.setdefault(file.package, set()).add(getattr(file.options, option))
        for package, values in values_by_package.items():
            if len(values) > 1:
                yield f"PACKAGE_SAME_{option.upper()}: {package}: {sorted(map(str, values))}"


def _message_shared_by_rpcs(declared: Sequence[Element]) -> Iterator[str]:
    rpcs = [e.proto for e in declared if isinstance(e.proto, MethodDescriptorProto)]
    uses = Counter(name for rpc in rpcs for name in (rpc.input_type, rpc.output_type))
    for name, count in uses.items():
        if count > 1:
            yield f"RPC_REQUEST_RESPONSE_UNIQUE: {name.removeprefix('.')} is used {count} times"
