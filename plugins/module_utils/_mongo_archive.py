# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read an archive of mongodump to its end: what is in it, and whether it is whole. Private to this collection.

A magic number, a header, one description for each collection; then blocks of documents, each of one collection, in any order. A
collection ends with a block that has the checksum of all its documents.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._bson import BsonError, decode
from ansible_collections.runbook.ops.plugins.module_utils._crc64 import BLOCK, ECMA, crc64

MAGIC = 0x8199E26D
END = b"\xff\xff\xff\xff"  # of the descriptions, and of a block
SMALLEST, LARGEST = 5, 1 << 26  # bytes of a document
WORDS = (1 << 128) - 1
START = (1 << 64) - 1  # this checksum begins and ends with all its bits the other way round
SERIES = "system.buckets."
CHANGING = ("ns", "v", "background")  # of an index: where it was, and how it was built


class ArchiveError(ValueError):
    """This is no archive of mongodump, or a damaged one; the message is one line."""


class _Reader:
    """Gives out the bytes of many pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._data, self._at, self.read = pieces, b"", 0, 0

    def take(self, size: int) -> bytes:
        """Return the next bytes.

        :raises ArchiveError: there are fewer.
        """
        while len(self._data) - self._at < size:
            piece = next(self._pieces, b"")
            if not piece:
                raise ArchiveError(f"the dump ends at byte {self.read}, in the middle: it was cut off")
            self.read += len(piece)
            self._data, self._at = self._data[self._at :] + piece, 0
        start, self._at = self._at, self._at + size
        return self._data[start : self._at]

    def is_at_end(self) -> bool:
        if self._at < len(self._data):
            return False
        self._data, self._at = next(self._pieces, b""), 0
        self.read += len(self._data)
        return not self._data

    def document(self) -> bytes | None:
        """Return the next document as it is; None where the block ends."""
        head = self.take(4)
        if head == END:
            return None
        size = int.from_bytes(head, "little")
        if not SMALLEST <= size <= LARGEST:
            raise ArchiveError(f"the dump is damaged near byte {self.read}: a document of {size} bytes")
        return head + self.take(size - 4)


class _Documents:
    """What one collection's documents come to, whatever their order."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.told, self.documents, self.bytes, self.ended = told, 0, 0, False
        self._sum, self._crc, self._unsummed = 0, START, bytearray()

    def add(self, document: bytes) -> None:
        self.documents += 1
        self.bytes += len(document)
        self._sum += int.from_bytes(hashlib.blake2b(document, digest_size=16).digest(), "little")
        self._unsummed += document
        if len(self._unsummed) >= BLOCK:
            self._crc, self._unsummed = crc64(bytes(self._unsummed), self._crc, ECMA), bytearray()

    def end(self, expected: int) -> bool:
        """Return whether the checksum is right."""
        self.ended = True
        return crc64(bytes(self._unsummed), self._crc, ECMA) ^ START == expected & START

    def content(self) -> dict[str, Any]:
        described = json.loads(self.told.get("metadata") or "{}")
        indexes = {
            str(one.get("name")): {key: value for key, value in one.items() if key not in CHANGING}
            for one in described.get("indexes") or []
        }
        return {
            "type": self.told.get("type") or "collection",
            "documents": self.documents,
            "bytes": self.bytes,
            "sum": f"{self._sum & WORDS:032x}",
            "indexes": indexes,
            "options": {key: value for key, value in (described.get("options") or {}).items() if key != "uuid"},
        }


def read_archive(pieces: Iterator[bytes]) -> dict[str, Any]:
    """Return what an archive of one database holds.

    :raises ArchiveError: it is none, is damaged or was cut off, or holds more than one database.
    """
    reader = _Reader(iter(pieces))
    if int.from_bytes(reader.take(4), "little") != MAGIC:
        raise ArchiveError("this is no archive of mongodump")
    header = _decoded(reader)
    found: dict[tuple[str, str], _Documents] = {}
    while (document := reader.document()) is not None:
        told = _plain(document)
        found[(str(told.get("db")), str(told.get("collection")))] = _Documents(told)
    databases = sorted({database for database, _collection in found})
    if len(databases) > 1:
        raise ArchiveError(f"the dump holds {', '.join(databases)}: it should hold one database")
    while not reader.is_at_end():
        _block(reader, found)
    open_ones = [".".join(name) for name, one in found.items() if one.told.get("type") != "view" and not one.ended]
    if open_ones:
        raise ArchiveError(f"the dump ends before the end of {open_ones[0]}: it was cut off")
    contents = {collection: one.content() for (_database, collection), one in sorted(found.items())}
    return {
        "server_version": header.get("server_version"),
        "tool_version": header.get("tool_version"),
        "format": header.get("version"),
        "collections": contents,
        "documents": sum(one["documents"] for one in contents.values()),
        "data_bytes": sum(one["bytes"] for one in contents.values()),
    }


def _block(reader: _Reader, found: Mapping[tuple[str, str], _Documents]) -> None:
    head = _decoded(reader)
    database, collection = str(head.get("db")), str(head.get("collection"))
    name = (database, collection)
    if name not in found:  # what is in a time series has another name than what describes it
        name = (database, collection[len(SERIES) :] if collection.startswith(SERIES) else collection)
    if name not in found:
        raise ArchiveError(f"the dump is damaged: it does not describe {'.'.join(name)}")
    one = found[name]
    if head.get("EOF"):
        if not one.end(int(head.get("CRC") or 0)):
            raise ArchiveError(f"the dump is damaged: the checksum of {'.'.join(name)} is wrong")
        if reader.document() is not None:
            raise ArchiveError(f"the dump is damaged: {'.'.join(name)} goes on after its end")
        return
    while (document := reader.document()) is not None:
        one.add(document)


def _decoded(reader: _Reader) -> dict[str, Any]:
    document = reader.document()
    if document is None:
        raise ArchiveError(f"the dump is damaged near byte {reader.read}: a header is missing")
    return _plain(document)


def _plain(document: bytes) -> dict[str, Any]:
    try:
        return decode(document)
    except BsonError as exc:
        raise ArchiveError(f"the dump is damaged: {exc}") from exc


def expires(described: Mapping[str, Any]) -> bool:
    """Return whether the server deletes documents of this collection by itself, by a TTL index or an option.

    It does so wherever the index is, and so in what was just restored, with all that has expired since the backup.
    """
    told = [described.get("options") or {}, *(described.get("indexes") or {}).values()]
    return any("expireAfterSeconds" in one for one in told)


def is_as_many(described: Mapping[str, Any], found: int) -> bool:
    """Return whether ``found`` documents can be those that were saved: none is missing, unless the server deletes them by itself."""
    return found == described["documents"] or (expires(described) and found < described["documents"])


def compare(saved: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return how what was restored differs from what was saved, a line for each difference."""
    before, after = saved["collections"], found["collections"]
    lines = [f"{name} is missing" for name in sorted(set(before) - set(after))]
    lines += [f"{name} was not saved" for name in sorted(set(after) - set(before))]
    for name in sorted(set(before) & set(after)):
        was, now = before[name], after[name]
        if not is_as_many(was, now["documents"]):
            lines.append(f"{name} has {now['documents']} documents instead of {was['documents']}")
        elif was["documents"] == now["documents"] and was["sum"] != now["sum"]:
            lines.append(f"{name} has other documents than were saved")
        if was["indexes"] != now["indexes"]:
            differing = sorted(
                index
                for index in set(was["indexes"]) | set(now["indexes"])
                if was["indexes"].get(index) != now["indexes"].get(index)
            )
            lines.append(f"{name} has other indexes than were saved: {', '.join(differing)}")
        if was["options"] != now["options"]:
            lines.append(f"{name} has other options than were saved")
    return lines
