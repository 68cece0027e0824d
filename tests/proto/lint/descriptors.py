"""Reads a FileDescriptorSet as protoc writes it, with nothing but the standard library.

Only what the lint looks at is decoded; descriptor.proto has the field numbers.
"""

import dataclasses
import pathlib
import subprocess
import tempfile

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
SCALARS = {
    1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 6: "fixed64", 7: "fixed32", 8: "bool",
    9: "string", 12: "bytes", 13: "uint32", 15: "sfixed32", 16: "sfixed64", 17: "sint32", 18: "sint64"
}
REPEATED = 3


def read_varint(data, position):
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def fields(data):
    """{field number: [values in order]}; length-delimited values stay bytes."""
    result, position = {}, 0
    while position < len(data):
        tag, position = read_varint(data, position)
        kind = tag & 7
        if kind == VARINT:
            value, position = read_varint(data, position)
        elif kind == BYTES:
            size, position = read_varint(data, position)
            value, position = data[position:position + size], position + size
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
            value, position = data[position:position + size], position + size
        else:
            raise ValueError(f"wire type {kind} in a descriptor set")
        result.setdefault(tag >> 3, []).append(value)
    return result


def text(raw, number):
    return raw.get(number, [b""])[-1].decode()


def packed(values):
    result = []
    for value in values:
        if isinstance(value, int):
            result.append(value)
            continue
        position = 0
        while position < len(value):
            item, position = read_varint(value, position)
            result.append(item)
    return result


def type_of(field):
    return SCALARS.get(field[5][-1]) or text(field, 6).lstrip(".")


def is_map_entry(message):
    """True for the message that protoc makes for a map field."""
    return bool(fields(message.get(7, [b""])[-1]).get(7, [0])[-1])


def map_type(entry):
    key, value = (type_of(fields(item)) for item in entry[2])
    return f"map<{key}, {value}>"


@dataclasses.dataclass
class Item:
    """One declaration. `kind` is file, message, field, oneof, enum, value, service or rpc."""
    kind: str
    name: str  # Fully qualified, without a leading dot; of a file, its path.
    file: str
    line: int = 1
    comment: str = ""
    number: int = 0
    type: str = ""  # Of a field; of an rpc its signature.
    request: str = ""
    response: str = ""
    package: str = ""
    syntax: str = ""
    alias: bool = False

    @property
    def short(self):
        return self.name.rsplit(".", 1)[-1]

    @property
    def parent(self):
        return self.name.rsplit(".", 1)[0]


class FileReader:

    def __init__(self, data):
        self.raw = fields(data)
        self.file = text(self.raw, 1)
        self.package = text(self.raw, 2)
        self.items = []
        self.places = {}
        for location in fields(self.raw.get(9, [b""])[-1]).get(1, []):
            parts = fields(location)
            comment = (text(parts, 3) + text(parts, 4)).strip()
            self.places[tuple(packed(parts.get(1, [])))] = (packed(parts.get(2, [0]))[0] + 1, comment)

    def add(self, kind, name, path, **more):
        line, comment = self.places.get(tuple(path), (1, ""))
        item = Item(kind, name, self.file, line, comment, **more)
        self.items.append(item)
        return item

    def read(self):
        self.add("file", self.file, [], package=self.package, syntax=text(self.raw, 12))
        for index, data in enumerate(self.raw.get(4, [])):
            self.message(data, self.package, [4, index])
        for index, data in enumerate(self.raw.get(5, [])):
            self.enum(data, self.package, [5, index])
        for index, data in enumerate(self.raw.get(6, [])):
            self.service(data, [6, index])
        return self.items

    def message(self, data, scope, path):
        raw = fields(data)
        name = f"{scope}.{text(raw, 1)}"
        if is_map_entry(raw):
            return
        self.add("message", name, path)
        real_oneofs = set()
        maps = {f"{name}.{text(fields(nested), 1)}": map_type(fields(nested)) for nested in raw.get(3, [])
                if is_map_entry(fields(nested))}
        for index, item in enumerate(raw.get(2, [])):
            field = fields(item)
            kind = type_of(field)
            if kind in maps:
                kind = maps[kind]
            elif field.get(4, [1])[-1] == REPEATED:
                kind = "repeated " + kind
            elif field.get(17, [0])[-1]:
                kind = "optional " + kind
            elif 9 in field:
                real_oneofs.add(field[9][-1])
            self.add("field", f"{name}.{text(field, 1)}", [*path, 2, index], number=field[3][-1], type=kind)
        for index, item in enumerate(raw.get(8, [])):
            if index in real_oneofs:
                self.add("oneof", f"{name}.{text(fields(item), 1)}", [*path, 8, index])
        for index, item in enumerate(raw.get(3, [])):
            self.message(item, name, [*path, 3, index])
        for index, item in enumerate(raw.get(4, [])):
            self.enum(item, name, [*path, 4, index])

    def enum(self, data, scope, path):
        raw = fields(data)
        name = f"{scope}.{text(raw, 1)}"
        self.add("enum", name, path, alias=bool(fields(raw.get(3, [b""])[-1]).get(2, [0])[-1]))
        for index, item in enumerate(raw.get(2, [])):
            value = fields(item)
            self.add("value", f"{name}.{text(value, 1)}", [*path, 2, index], number=value.get(2, [0])[-1])

    def service(self, data, path):
        raw = fields(data)
        name = f"{self.package}.{text(raw, 1)}"
        self.add("service", name, path)
        for index, item in enumerate(raw.get(2, [])):
            method = fields(item)
            request, response = text(method, 2).lstrip("."), text(method, 3).lstrip(".")
            signature = (f"({'stream ' if method.get(5, [0])[-1] else ''}{request}) returns "
                         f"({'stream ' if method.get(6, [0])[-1] else ''}{response})")
            self.add("rpc", f"{name}.{text(method, 1)}", [*path, 2, index], type=signature, request=request,
                     response=response)


def load(root):
    """All declarations of the .proto files under `root`. Raises RuntimeError with protoc's words."""
    files = sorted(path.relative_to(root).as_posix() for path in pathlib.Path(root).rglob("*.proto"))
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory, "set.bin")
        done = subprocess.run(
            ["protoc", "-I", ".", "--fatal_warnings", "--include_source_info", "-o", str(out), *files],
            cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return [item for data in fields(out.read_bytes()).get(1, []) for item in FileReader(data).read()]
