"""What hilum needs to know of an ONNX file before it trusts it, read from its bytes without the onnx package.

A bounded walk over the protobuf wire format: nothing is copied or allocated on the word of the file, and damage ends in
a BundleError. It finds the metadata and refuses what a bundle never has: weights outside the file, tensors that claim
more numbers than they hold, operators that not every runtime knows, graphs within the graph, functions, and more nodes
than any network for pictures. What no counting bounds, trust/trial.py tries. Fields have the numbers of onnx.proto.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hilum.bundle.card import BundleError, Card, card_from_json
from hilum.bundle.trust.operators import ALLOWED

CARD, DIGEST = "hilum", "hilum.digest"
MAX_FILE_BYTES = 2**31 - 1  # protobuf's own limit
# The largest networks that hilum makes have a tenth of these.
MAX_FIELDS, MAX_NODES, MAX_TENSORS = 200_000, 10_000, 10_000
MODEL_IR_VERSION, MODEL_GRAPH, MODEL_METADATA, MODEL_TRAINING, MODEL_FUNCTIONS = 1, 7, 14, 20, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS, ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW, TENSOR_EXTERNAL, TENSOR_LOCATION = 1, 2, 8, 9, 13, 14
TENSOR_NUMBERS = (4, 5, 6, 7, 9, 10, 11)
FLOAT32, FLOAT32_BYTES = 1, 4
MOST_NUMBERS_A_BYTE = 4  # of the narrowest type, of 2 bits
STANDARD_DOMAINS = (b"", b"ai.onnx")
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
GET_AGAIN = "get the file again from its source"


class Field(NamedTuple):
    """One field of a message: its bytes begin with the tag at `start` and end at `end`; a submessage with `body`."""

    number: int
    start: int
    body: int
    end: int
    value: int  # of a varint


def read_model(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata of a bundle, after the file proved whole and harmless. Raises BundleError, or OSError."""
    path = Path(path)
    return check_model(read_bytes(path), str(path))


def read_card(path: str | os.PathLike[str]) -> Card:
    """The card of a bundle, without loading its network."""
    return parse_card(read_model(path), str(path))


def read_bytes(path: Path) -> bytes:
    """The file in memory, so that what is checked is what runs. Raises OSError, and BundleError for one too large."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
            raise BundleError(f"{path}: over 2 GiB, which no bundle is; export it again")
        return file.read()


def check_model(content: bytes, name: str) -> dict[str, str]:
    """The metadata of a bundle given as its bytes; `name` is for the messages."""
    check_digest(content, name)
    return check_structure(content, name)


def check_digest(content: bytes, name: str) -> None:
    """Refuse a file whose bytes are not those that were exported."""
    model, metadata = _top_level(content, name)
    own = next(field for field in model if field.number == MODEL_METADATA and _entry(content, field)[0] == DIGEST)
    if digest(content, own) != metadata[DIGEST]:
        raise BundleError(f"{name}: damaged or changed since it was exported; {GET_AGAIN}")


def read_metadata(content: bytes, name: str) -> dict[str, str]:
    """The metadata of a bundle of which nothing is checked but that it is one."""
    return _top_level(content, name)[1]


def check_structure(content: bytes, name: str) -> dict[str, str]:
    """Refuse what no bundle has; the metadata of what passes."""
    model, metadata = _top_level(content, name)
    if {field.number for field in model} & {MODEL_FUNCTIONS, MODEL_TRAINING}:
        raise BundleError(f"{name}: holds ONNX functions or training steps, which no bundle has; export it again")
    walk = _Walk(content)
    try:
        for field in model:
            if field.number == MODEL_GRAPH:
                walk.check_graph(field, name)
    except _Damage:
        raise BundleError(f"{name}: damaged; {GET_AGAIN}") from None
    return metadata


def _top_level(content: bytes, name: str) -> tuple[list[Field], dict[str, str]]:
    """The fields of the model itself and its metadata, which must hold a card and a digest."""
    try:
        model = list(_Walk(content).fields(0, len(content)))
        entries = [_entry(content, field) for field in model if field.number == MODEL_METADATA]
    except _Damage:
        raise BundleError(f"{name}: {_what_else(content)}") from None
    if not {MODEL_GRAPH, MODEL_IR_VERSION} <= {field.number for field in model}:
        raise BundleError(f"{name}: {_what_else(content)}")
    metadata = dict(entries)
    for key in (CARD, DIGEST):
        if key not in metadata:
            raise BundleError(
                f"{name}: an ONNX file but no hilum bundle (no {key!r} in its metadata); "
                "make one with `hilum export RUN -o model.onnx`"
            )
    if len(metadata) != len(entries):
        raise BundleError(f"{name}: metadata stated twice; {GET_AGAIN}")
    return model, metadata


def parse_card(metadata: dict[str, str], name: str) -> Card:
    """The card among the metadata of a file called `name`, as errors call it."""
    try:
        return card_from_json(metadata[CARD])
    except BundleError as error:
        raise BundleError(f"{name}: {error}") from None


def described(metadata: dict[str, str], file_bytes: int) -> dict[str, Any]:
    """What a bundle says of itself as plain data, without the digests of its films and the numbers of drift, which are
    most of a card and tell a person nothing.
    """
    values: dict[str, Any] = json.loads(metadata[CARD])
    del values["data"]["films"]
    if values.get("drift"):
        del values["drift"]["axes"]
        for kind in values["drift"]["kinds"]:
            del kind["numbers"]
    return {**values, "file_bytes": file_bytes, "digest": metadata[DIGEST]}


def digest(content: bytes, own: Field | None = None) -> str:
    """The digest of a model file, over every field but the entry that holds the digest itself."""
    view = memoryview(content)
    total = hashlib.blake2b(digest_size=16)
    total.update(view[: own.start] if own else view)
    if own:
        total.update(view[own.end :])
    return total.hexdigest()


def write_metadata(model: bytes, card: Card) -> bytes:
    """The model with the card and the digest in its metadata, in place of those it may have had."""
    kept = bytearray()
    try:
        for field in _Walk(model).fields(0, len(model)):
            if field.number != MODEL_METADATA or _entry(model, field)[0] not in (CARD, DIGEST):
                kept += memoryview(model)[field.start : field.end]
    except _Damage:
        raise BundleError("no ONNX model to write a card into") from None
    kept += _metadata_entry(CARD, card.to_json())
    return bytes(kept) + _metadata_entry(DIGEST, digest(bytes(kept)))


def write_numbers(model: bytes, numbers: Mapping[str, float]) -> bytes:
    """The model with these values of single numbers that stand in its graph by name, in the place of those it had.

    Raises BundleError, which does not name the file yet, if there is no such number.
    """
    changed, left = bytearray(model), dict(numbers)
    walk = _Walk(model)
    try:
        graphs = [field for field in walk.fields(0, len(model)) if field.number == MODEL_GRAPH]
        tensors = [field for graph in graphs for field in walk.inside(graph) if field.number == GRAPH_INITIALIZER]
        for tensor in tensors:
            parts = {part.number: part for part in walk.inside(tensor)}
            named, raw, kind = (parts.get(number) for number in (TENSOR_NAME, TENSOR_RAW, TENSOR_TYPE))
            name = model[named.body : named.end].decode("utf-8", "replace") if named else ""
            if name in left and raw and raw.end - raw.body == FLOAT32_BYTES and kind and kind.value == FLOAT32:
                changed[raw.body : raw.end] = struct.pack("<f", left.pop(name))
    except _Damage:
        raise BundleError("no ONNX model to set numbers in") from None
    if left:
        raise BundleError(
            f"made by an earlier hilum, in whose files {next(iter(left))} cannot be set anew; "
            "export it again from its run"
        )
    return bytes(changed)


class _Damage(Exception):
    """Bytes that are no protobuf message."""


class _Walk:
    """A walk over a file, which counts the fields it meets: a file made to keep us busy ends in damage, too."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.left = MAX_FIELDS

    def fields(self, position: int, end: int) -> Iterator[Field]:
        while position < end:
            self.left -= 1
            if self.left < 0:
                raise _Damage
            start = position
            tag, position = self._varint(position, end)
            number, wire, value, body = tag >> 3, tag & 7, 0, position
            if number == 0 or number >= 1 << 29:
                raise _Damage
            if wire == VARINT:
                value, position = self._varint(position, end)
            elif wire == BYTES:
                length, body = self._varint(position, end)
                position = body + length
            elif wire in (FIXED64, FIXED32):
                position += 8 if wire == FIXED64 else 4
            else:
                raise _Damage
            if position > end:
                raise _Damage
            yield Field(number, start, body, position, value)

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while position < end and shift < 70:
            byte = self.content[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
            shift += 7
        raise _Damage

    def inside(self, field: Field) -> Iterator[Field]:
        return self.fields(field.body, field.end)

    def check_graph(self, graph: Field, name: str) -> None:
        nodes = tensors = 0
        for field in self.inside(graph):
            if field.number == GRAPH_NODE:
                nodes += 1
                self._check_node(field, name)
            elif field.number == GRAPH_INITIALIZER:
                tensors += 1
                self._check_tensor(field, name)
            elif field.number == GRAPH_SPARSE:
                raise _unusual(name, "holds sparse weights")
            if nodes > MAX_NODES or tensors > MAX_TENSORS:
                raise _unusual(name, f"has over {MAX_NODES:,} nodes or {MAX_TENSORS:,} weights")

    def _check_node(self, node: Field, name: str) -> None:
        domain, operator = b"", b""
        attributes: list[Field] = []
        for field in self.inside(node):
            if field.number == NODE_DOMAIN:
                domain = self.content[field.body : min(field.end, field.body + 60)]
            elif field.number == NODE_OPERATOR:
                operator = self.content[field.body : min(field.end, field.body + 60)]
            elif field.number == NODE_ATTRIBUTE:
                attributes.append(field)
        if domain not in STANDARD_DOMAINS:
            shown = f"{_printable(domain)}.{_printable(operator)}"
            raise BundleError(f"{name}: uses the custom operator {shown}; bundles have standard ONNX operators only")
        if operator not in ALLOWED:
            raise _unusual(name, f"uses the operator {_printable(operator)}")
        for attribute in attributes:
            for part in self.inside(attribute):
                if part.number in ATTRIBUTE_TENSORS:
                    self._check_tensor(part, name)
                elif part.number in (*ATTRIBUTE_SPARSE, *ATTRIBUTE_GRAPHS):
                    raise _unusual(name, "holds a graph or sparse weights within a node")

    def _check_tensor(self, tensor: Field, name: str) -> None:
        claimed, held = 1, 0
        for field in self.inside(tensor):
            if field.number == TENSOR_EXTERNAL or (field.number == TENSOR_LOCATION and field.value):
                raise BundleError(f"{name}: keeps weights in another file; a bundle is one file: export it again")
            if field.number == TENSOR_DIMS:
                for length in self._lengths(field):
                    claimed *= length
            elif field.number in TENSOR_NUMBERS:
                held += field.end - field.start
        if claimed > MOST_NUMBERS_A_BYTE * held:
            raise _unusual(name, "a tensor claims more numbers than it holds")

    def _lengths(self, field: Field) -> Iterator[int]:
        """The sides of a tensor, which a file may give one by one or all in one field."""
        if field.body == field.end or self.content[field.start] & 7 == VARINT:
            yield field.value
            return
        position = field.body
        while position < field.end:
            length, position = self._varint(position, field.end)
            yield length


def _unusual(name: str, what: str) -> BundleError:
    return BundleError(f"{name}: {what}, which no bundle of hilum does; get the file again, or export it again")


def _entry(content: bytes, field: Field) -> tuple[str, str]:
    """Key and value of a metadata entry."""
    parts = {1: b"", 2: b""}
    for part in _Walk(content).inside(field):
        parts[part.number] = content[part.body : part.end]
    try:
        return parts[1].decode("utf-8"), parts[2].decode("utf-8")
    except UnicodeDecodeError:
        raise _Damage from None


def _metadata_entry(key: str, value: str) -> bytes:
    body = b"".join(_tagged(number, text.encode("utf-8")) for number, text in ((1, key), (2, value)))
    return _tagged(MODEL_METADATA, body)


def _tagged(number: int, body: bytes) -> bytes:
    return _to_varint(number << 3 | BYTES) + _to_varint(len(body)) + body


def _to_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _printable(text: bytes) -> str:
    return (
        text.decode("ascii", "replace").replace("\ufffd", "?")
        if text.isascii() and text.decode().isprintable()
        else "?"
    )


def _what_else(content: bytes) -> str:
    """Why this is no ONNX file, as far as its first bytes tell."""
    if not content:
        return f"empty; {GET_AGAIN}"
    if content.startswith((b"PK\3\4", b"\x80\2", b"\x80\4")):
        return "a PyTorch checkpoint or archive, not ONNX; make a bundle with `hilum export RUN -o model.onnx`"
    if content[:1] == b"\x08":  # an ONNX file starts with its IR version
        return f"a damaged or incomplete ONNX file; {GET_AGAIN}"
    return "not an ONNX file; give a bundle made with `hilum export RUN -o model.onnx`"
