# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pg_dump has put into an archive, read from its table of contents. Private to this collection.

It stands at the head of a custom archive and in ``toc.dat`` of a directory. ``pg_restore --list`` prints it too, but with
names that cannot be told apart, and without the values of sequences. The format: src/bin/pg_dump/pg_backup_archiver.c
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from typing import NamedTuple

MAGIC = b"PGDMP"
OLDEST, NEWEST = (1, 12), (1, 16)  # of PostgreSQL 9.0 and 18
HEAD_BYTES = 24 << 20  # of a stream, in which its table of contents stands
CUSTOM = 1  # a directory has a table of contents such as that of a tar file
PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")
NAME = r'("(?:[^"]|"")*"|[^".]+)'
FULL_NAME = re.compile(rf"{NAME}\.{NAME}\Z")
SETVAL = re.compile(r"setval\(E?'((?:[^']|'')+)', (-?\d+), (true|false)\)")


class ArchiveError(Exception):
    """It is no archive of pg_dump, is cut off, or newer than we know."""


class Entry(NamedTuple):
    """One thing in an archive."""

    kind: str  # TABLE, TABLE DATA, SEQUENCE SET, …
    schema: str
    name: str
    definition: str


class Contents(NamedTuple):
    """What an archive holds."""

    dumped_by: str  # version of pg_dump
    entries: list[Entry]

    def tables(self) -> set[str]:
        """Return the tables whose rows are in it."""
        return {full_name(one.schema, one.name) for one in self.entries if one.kind == "TABLE DATA"}

    def sequences(self) -> dict[str, list[object]]:
        """Return last value, and whether it has been used, by sequence."""
        found: dict[str, list[object]] = {}
        for one in self.entries:
            match = SETVAL.search(one.definition) if one.kind == "SEQUENCE SET" else None
            if match:
                found[full_name(one.schema, one.name)] = [int(match[2]), match[3] == "true"]
        return found


def full_name(schema: str, name: str) -> str:
    """Return schema and name as manifests write them: quoted only where they are more than lower-case words."""
    return ".".join(one if PLAIN.match(one) else '"' + one.replace('"', '""') + '"' for one in (schema, name))


def missing(expected: Iterable[str], found: Iterable[str], *, most: int = 5) -> str:
    """Return the names that were not found, in words; nothing where all were."""
    lost = sorted(set(expected) - set(found))
    more = f" and {len(lost) - most} more" if len(lost) > most else ""
    return ", ".join(lost[:most]) + more


def read_archive(data: bytes) -> Contents:
    """Return what the archive holds that ``data`` is, or begins.

    :raises ArchiveError: it is none, ends within its table of contents, or is newer than we know.
    """
    reader = _Reader(data)
    try:
        return _contents(reader)
    except (IndexError, UnicodeDecodeError, MemoryError) as exc:
        raise ArchiveError("the table of contents is cut off or damaged") from exc


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self.integer_size = self.offset_size = 0
        self.encoding = "utf-8"

    def take(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        if size < 0 or len(piece) < size:
            raise IndexError
        self._at += size
        return piece

    def byte(self) -> int:
        return self.take(1)[0]

    def integer(self) -> int:
        negative = self.byte()
        value = int.from_bytes(self.take(self.integer_size), "little")
        return -value if negative else value

    def text(self) -> str | None:
        size = self.integer()
        return None if size < 0 else self.take(size).decode(self.encoding, "surrogateescape")


def _contents(reader: _Reader) -> Contents:
    if reader.take(5) != MAGIC:
        raise ArchiveError("it is no archive of pg_dump")
    version = (reader.byte(), reader.byte())
    reader.byte()
    if not OLDEST <= version <= NEWEST:
        raise ArchiveError(f"the archive has version {version[0]}.{version[1]}")
    reader.integer_size, reader.offset_size = reader.byte(), reader.byte()
    kind = reader.byte()
    if version >= (1, 15):
        reader.byte()  # the way it is compressed
    else:
        reader.integer()  # how much it is compressed
    for _part in range(7):
        reader.integer()  # when it was made
    reader.text()  # name of the database
    reader.text()  # version of the server
    dumped_by = (reader.text() or "").split(" ")[0]
    entries = []
    for _number in range(reader.integer()):
        entries.append(_entry(reader, version, kind))
        if entries[-1].kind == "ENCODING":  # the first of all
            reader.encoding = python_encoding(entries[-1].definition)
    return Contents(dumped_by, entries)


def python_encoding(definition: str) -> str:
    """Return Python's name of the encoding that ``SET client_encoding = 'LATIN1';`` asks for."""
    match = re.search(r"'([^']+)'", definition)
    try:
        return codecs.lookup(re.sub("^WIN", "cp", match[1])).name if match else "utf-8"
    except LookupError:
        return "utf-8"


def _entry(reader: _Reader, version: tuple[int, int], kind: int) -> Entry:
    for _number in range(2):
        reader.integer()  # its number, and whether it has data
    for _text in range(2):
        reader.text()  # the catalogue it is in, and its number there
    name, what = reader.text() or "", reader.text() or ""
    reader.integer()  # section
    definition = reader.text() or ""
    for _text in range(2):
        reader.text()  # how it is dropped, how its rows are copied
    schema = reader.text() or ""
    reader.text()  # tablespace
    if version >= (1, 14):
        reader.text()  # access method
    if version >= (1, 16):
        reader.integer()  # kind of relation
    for _text in range(2):
        reader.text()  # owner, and whether it has object identifiers
    while reader.text() is not None:
        pass  # what it depends on
    if kind == CUSTOM:
        reader.take(1 + reader.offset_size)  # where its rows stand
    else:
        reader.text()  # its file
    return Entry(what, schema, name, definition)
