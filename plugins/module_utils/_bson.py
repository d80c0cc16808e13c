# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of MongoDB as bytes (https://bsonspec.org), as far as status commands need them. Private to this collection."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

LONGEST_BYTES = 48_000_000  # of a message, as servers have it
DEEPEST = 100


class BsonError(ValueError):
    """The bytes are no document."""


class Stamp(int):
    """A place in the oplog, as a number of seconds; ``raw`` has also which one of that second it is."""

    raw: int

    def __new__(cls, raw: int) -> Stamp:
        stamp = super().__new__(cls, raw >> 32)
        stamp.raw = raw
        return stamp


def encode(document: Mapping[str, Any]) -> bytes:
    """Return ``document`` as bytes.

    :raises BsonError: it holds a value of a type that no command here needs.
    """
    body = b"".join(_element(str(key), value) for key, value in document.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _element(key: str, value: Any) -> bytes:
    for kind, (mark, pack) in WRITTEN.items():
        if isinstance(value, kind):
            return mark + key.encode() + b"\0" + pack(value)
    if isinstance(value, int):
        small = -(1 << 31) <= value < 1 << 31
        return (b"\x10" if small else b"\x12") + key.encode() + b"\0" + struct.pack("<i" if small else "<q", value)
    raise BsonError(f"{key} is of type {type(value).__name__}, which no command needs")


def _text(value: str) -> bytes:
    text = value.encode() + b"\0"
    return struct.pack("<i", len(text)) + text


# By type: the kind of element, and its value as bytes. A truth value is a number too, so it stands before those.
WRITTEN: dict[type, tuple[bytes, Callable[[Any], bytes]]] = {
    type(None): (b"\x0a", lambda _value: b""),
    bool: (b"\x08", lambda value: b"\1" if value else b"\0"),
    Stamp: (b"\x11", lambda value: struct.pack("<Q", value.raw)),
    float: (b"\x01", lambda value: struct.pack("<d", value)),
    str: (b"\x02", _text),
    bytes: (b"\x05", lambda value: struct.pack("<iB", len(value), 0) + value),
    dict: (b"\x03", encode),
    list: (b"\x04", lambda value: encode({str(index): item for index, item in enumerate(value)})),
}


def decode(data: bytes) -> dict[str, Any]:
    """Return the document that ``data`` is. Dates are seconds since 1970, object ids hexadecimal text.

    :raises BsonError: it is none.
    """
    try:
        document, end = _document(data, 0, 0)
    except (struct.error, IndexError, ValueError, UnicodeDecodeError) as exc:
        raise BsonError(f"not a document: {exc}") from exc
    if end != len(data):
        raise BsonError("not a document: there is more behind it")
    return document


def _document(data: bytes, start: int, depth: int) -> tuple[dict[str, Any], int]:
    (length,) = struct.unpack_from("<i", data, start)
    end = start + length
    if depth > DEEPEST or length < 5 or end > len(data) or data[end - 1] != 0:
        raise BsonError("its length is wrong")
    found: dict[str, Any] = {}
    at = start + 4
    while at < end - 1:
        kind = data[at]
        stop = data.index(b"\0", at + 1, end)
        key = data[at + 1 : stop].decode()
        found[key], at = _value(data, kind, stop + 1, depth)
    return found, end


# Kind of element: how struct reads it, and what it means.
FIXED: dict[int, tuple[str, Any]] = {
    0x01: ("<d", float),
    0x08: ("<?", bool),
    0x09: ("<q", lambda milliseconds: milliseconds / 1000),
    0x10: ("<i", int),
    0x11: ("<Q", Stamp),
    0x12: ("<q", int),
    0x07: ("<12s", bytes.hex),
    0x13: ("<16s", bytes.hex),
}
EMPTY = (0x06, 0x0A, 0x7F, 0xFF)  # undefined, null, and the keys below and above all others


def _value(data: bytes, kind: int, at: int, depth: int) -> tuple[Any, int]:
    if kind in FIXED:
        form, meaning = FIXED[kind]
        return meaning(struct.unpack_from(form, data, at)[0]), at + struct.calcsize(form)
    if kind in EMPTY:
        return None, at
    if kind in (0x03, 0x04):
        inner, end = _document(data, at, depth + 1)
        return (list(inner.values()) if kind == 0x04 else inner), end
    if kind in (0x02, 0x0D, 0x0E):
        (length,) = struct.unpack_from("<i", data, at)
        return data[at + 4 : at + 3 + length].decode("utf-8", "replace"), at + 4 + length
    if kind == 0x05:
        (length,) = struct.unpack_from("<i", data, at)
        return data[at + 5 : at + 5 + length], at + 5 + length
    if kind == 0x0B:  # a regular expression: two texts
        first = data.index(b"\0", at)
        second = data.index(b"\0", first + 1)
        return data[at:first].decode("utf-8", "replace"), second + 1
    raise BsonError(f"it holds an element of kind {kind:#x}")
