"""What a client or a stored message may rely on, and which of it a change breaks.

It follows the FILE category of buf: nothing that was released is deleted, moved, renumbered,
renamed or given another type, and a reserved range stays as it is written; everything may grow.
"""

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)


def breaking_changes(released: FileDescriptorSet, now: FileDescriptorSet) -> list[str]:
    """One line for each released promise that no longer holds; empty when `now` only grew."""
    found = []
    kept = _promises(now)
    for name, promise in _promises(released).items():
        if name not in kept:
            found.append(f"{name} is gone; it was {promise}")
        elif kept[name] != promise:
            found.append(f"{name} is {kept[name]}; it was {promise}")
    return found


def _promises(files: FileDescriptorSet) -> dict[str, str]:
    """What each declared thing promises, by its name; a field or value goes by its number."""
    promises: dict[str, str] = {}
    for file in files.file:
        promises |= _of_file(file)
    return promises


def _of_file(file: FileDescriptorProto) -> dict[str, str]:
    go = file.options.go_package
    promises = {f"file {file.name}": f"{file.syntax}, package {file.package}, Go package {go}"}
    for message in file.message_type:
        promises |= _of_message(message, file.name, f"{file.package}.")
    for enum in file.enum_type:
        promises |= _of_enum(enum, file.name, f"{file.package}.")
    for service in file.service:
        name = f"{file.package}.{service.name}"
        promises[f"service {name}"] = f"in {file.name}"
        for rpc in service.method:
            takes = "stream " * rpc.client_streaming + rpc.input_type
            gives = "stream " * rpc.server_streaming + rpc.output_type
            level = rpc.options.IdempotencyLevel.Name(rpc.options.idempotency_level)
            promises[f"rpc {name}.{rpc.name}"] = f"({takes}) returns ({gives}), {level}"
    return promises


def _of_message(message: DescriptorProto, file: str, scope: str) -> dict[str, str]:
    name = scope + message.name
    promises = {f"message {name}": f"in {file}"}
    for field in message.field:
        promises[f"field {name} {field.number}"] = _of_field(field, message)
    for reserved in message.reserved_range:
        promises[f"reserved {name} {reserved.start} to {reserved.end - 1}"] = "reserved"
    for word in message.reserved_name:
        promises[f"reserved {name} {word}"] = "reserved"
    for nested in message.nested_type:
        promises |= _of_message(nested, file, f"{name}.")
    for enum in message.enum_type:
        promises |= _of_enum(enum, file, f"{name}.")
    return promises


def _of_field(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    label = FieldDescriptorProto.Label.Name(field.label).removeprefix("LABEL_").lower()
    kind = field.type_name or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_")
    presence = " with presence" if field.proto3_optional else ""
    oneof = ""
    if field.HasField("oneof_index") and not field.proto3_optional:
        oneof = f" in oneof {message.oneof_decl[field.oneof_index].name}"
    return f"{label} {kind} {field.name} ({field.json_name}){oneof}{presence}"


def _of_enum(enum: EnumDescriptorProto, file: str, scope: str) -> dict[str, str]:
    name = scope + enum.name
    promises = {f"enum {name}": f"in {file}"}
    for value in enum.value:
        promises[f"enum value {name} {value.number}"] = value.name
    for reserved in enum.reserved_range:
        promises[f"reserved {name} {reserved.start} to {reserved.end}"] = "reserved"
    for word in enum.reserved_name:
        promises[f"reserved {name} {word}"] = "reserved"
    return promises
