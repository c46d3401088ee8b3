"""Protobuf messages from a few lines of text, each table in a descriptor pool of its own.

A table says per message, by its full name, "field number type, …": `*` before a type repeats it, `map:` is a map from
string, and what is no scalar is a message. Enums are described as int32, which they are on the wire.
"""

from collections.abc import Mapping

from google.protobuf import any_pb2, descriptor_pb2, wrappers_pb2
from google.protobuf.descriptor_pool import DescriptorPool

_FIELD = descriptor_pb2.FieldDescriptorProto

_SCALARS = {
    name: getattr(_FIELD, f"TYPE_{name.upper()}")
    for name in ("bool", "bytes", "double", "float", "int32", "int64", "string", "uint32", "uint64")
}


def build_pool(table: Mapping[str, str]) -> DescriptorPool:
    """A pool with the messages of a table, and those of `google.protobuf` that wrap values."""
    pool = DescriptorPool()
    known = []
    for module in (any_pb2, wrappers_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        known.append(module.DESCRIPTOR.name)
    # Shorter packages first: what is longer may use their messages.
    for package in sorted({_package(name, table) for name in table}, key=len):
        file = descriptor_pb2.FileDescriptorProto(
            name=f"{package}.table.proto", package=package, syntax="proto3", dependency=known
        )
        messages: dict[str, descriptor_pb2.DescriptorProto] = {}
        # Outer messages first: an inner one is added to its outer one.
        for full_name in sorted(table, key=len):
            parent, _, name = full_name.rpartition(".")
            if parent == package:
                messages[full_name] = file.message_type.add(name=name)
            elif parent in messages:
                messages[full_name] = messages[parent].nested_type.add(name=name)
        for full_name, message in messages.items():
            for line in filter(None, table[full_name].split(", ")):
                _add_field(message, full_name, *line.split(" "))
        pool.Add(file)
        known.append(file.name)
    return pool


def _package(full_name: str, table: Mapping[str, str]) -> str:
    parent = full_name.rpartition(".")[0]
    return _package(parent, table) if parent in table else parent


def _add_field(message: descriptor_pb2.DescriptorProto, full_name: str, name: str, number: str, kind: str) -> None:
    field = message.field.add(name=name, number=int(number), label=_FIELD.LABEL_OPTIONAL)
    if kind.startswith("*"):
        field.label = _FIELD.LABEL_REPEATED
        kind = kind[1:]
    if kind.startswith("map:"):
        entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
        entry.options.map_entry = True
        _add_field(entry, "", "key", "1", "string")
        _add_field(entry, "", "value", "2", kind.removeprefix("map:"))
        field.label = _FIELD.LABEL_REPEATED
        kind = f"{full_name}.{entry.name}"
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _FIELD.TYPE_MESSAGE
        field.type_name = f".{kind}"
