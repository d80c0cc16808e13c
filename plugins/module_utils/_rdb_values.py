# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of a Redis dump: how to go over each type of them. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._rdb_reader import RdbError, Reader

# Hashes whose fields expire each by itself: the whole key may be gone one day.
MAY_VANISH = (22, 23, 24, 25)


def skip_value(reader: Reader, kind: int) -> None:
    """Go to the end of a value of type ``kind``.

    :raises RdbError: the type is not known.
    """
    skip = VALUES.get(kind)
    if skip is None:
        raise RdbError(
            f"values of type {kind} (byte {reader.position}) are not known here: this version of Redis is newer than this "
            "collection, or the dump is damaged"
        )
    skip(reader)


def _texts(each: int) -> Callable[[Reader], None]:
    def skip(reader: Reader) -> None:
        for _item in range(reader.length() * each):
            reader.skip_text()

    return skip


def _scored(skip_score: Callable[[Reader], Any]) -> Callable[[Reader], None]:
    def skip(reader: Reader) -> None:
        for _item in range(reader.length()):
            reader.skip_text()
            skip_score(reader)

    return skip


def _skip_score(reader: Reader) -> None:
    size = reader.byte()
    reader.skip(size if size < 253 else 0)  # 253 to 255 are the numbers that have no digits


def _skip_parts(reader: Reader) -> None:
    for _part in range(reader.length()):
        reader.length()
        reader.skip_text()


def _skip_fields(reader: Reader, *, before: int) -> None:
    """Go over a hash whose fields expire each by itself."""
    reader.skip(before)
    for _field in range(reader.length()):
        reader.length()
        reader.skip_text()
        reader.skip_text()


def _skip_packed_fields(reader: Reader) -> None:
    reader.skip(8)
    reader.skip_text()


def skip_module(reader: Reader) -> None:
    reader.length()
    while True:
        kind = reader.length()
        if kind == 0:
            return
        if kind in (1, 2):
            reader.length()
        elif kind in (3, 4):
            reader.skip(4 if kind == 3 else 8)
        elif kind == 5:
            reader.skip_text()
        else:
            raise RdbError(f"the value of a module is damaged at byte {reader.position}")


def _stream(version: int) -> Callable[[Reader], None]:
    def lengths(reader: Reader, count: int) -> None:
        for _item in range(count):
            reader.length()

    def skip(reader: Reader) -> None:
        _texts(2)(reader)
        lengths(reader, 3 if version == 1 else 8)
        for _group in range(reader.length()):
            reader.skip_text()
            lengths(reader, 2 if version == 1 else 3)
            for _pending in range(reader.length()):
                reader.skip(24)
                reader.length()
            for _consumer in range(reader.length()):
                reader.skip_text()
                reader.skip(8 if version < 3 else 16)
                reader.skip(16 * reader.length())

    return skip


_TEXT: Callable[[Reader], None] = Reader.skip_text
VALUES: dict[int, Callable[[Reader], None]] = {
    **dict.fromkeys((0, 9, 10, 11, 12, 13, 16, 17, 20), _TEXT),
    **dict.fromkeys((1, 2, 14), _texts(1)),
    4: _texts(2),
    3: _scored(_skip_score),
    5: _scored(lambda reader: reader.skip(8)),
    7: skip_module,
    15: _stream(1),
    18: _skip_parts,
    19: _stream(2),
    21: _stream(3),
    22: lambda reader: _skip_fields(reader, before=0),
    23: _TEXT,
    24: lambda reader: _skip_fields(reader, before=8),
    25: _skip_packed_fields,
}
