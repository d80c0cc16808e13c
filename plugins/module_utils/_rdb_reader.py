# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytes of a Redis dump: lengths, strings and the checksum. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.runbook.ops.plugins.module_utils._crc64 import BLOCK, crc64

SUM = 8  # bytes of the checksum, the last ones


class RdbError(Exception):
    """This is no dump of Redis, a damaged one, or one of a version that is not known here; the message is one line."""


class Reader:
    """Gives out the bytes of many pieces, and takes the checksum of those that it gave."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._data, self._at, self._before = pieces, b"", 0, 0
        self._crc, self._unsummed = 0, bytearray()

    @property
    def position(self) -> int:
        return self._before + self._at

    def _more(self) -> None:
        piece = next(self._pieces, b"")
        if not piece:
            raise RdbError(f"the dump ends at byte {self._before + len(self._data)}, in the middle: it was cut off")
        self._before += self._at
        self._data, self._at = self._data[self._at :] + piece, 0
        self._unsummed += piece
        ready = (len(self._unsummed) - SUM) // BLOCK * BLOCK
        if ready > 0:
            self._crc = crc64(bytes(self._unsummed[:ready]), self._crc)
            del self._unsummed[:ready]

    def take(self, size: int) -> bytes:
        while len(self._data) - self._at < size:
            self._more()
        start, self._at = self._at, self._at + size
        return self._data[start : self._at]

    def skip(self, size: int) -> None:
        while len(self._data) - self._at < size:
            size -= len(self._data) - self._at
            self._at = len(self._data)
            self._more()
        self._at += size

    def byte(self) -> int:
        if self._at == len(self._data):
            self._more()
        self._at += 1
        return self._data[self._at - 1]

    def length(self) -> int:
        first = self.byte()
        if first < 64:
            return first
        if first < 128:
            return (first & 63) << 8 | self.byte()
        if first in (128, 129):
            return int.from_bytes(self.take(4 if first == 128 else 8), "big")
        raise RdbError(f"no length at byte {self.position}: the dump is damaged")

    def text(self) -> bytes:
        first = self.byte()
        if first < 192:
            return self.take(self._rest(first))
        if first < 195:
            return b"%d" % int.from_bytes(self.take(1 << first - 192), "little", signed=True)
        if first > 195:
            raise RdbError(f"no string at byte {self.position}: the dump is damaged")
        packed, size = self.length(), self.length()
        return unpack(self.take(packed), size)

    def skip_text(self) -> None:
        first = self.byte()
        if first < 192:
            self.skip(self._rest(first))
        elif first < 195:
            self.skip(1 << first - 192)
        elif first == 195:
            packed = self.length()
            self.length()
            self.skip(packed)
        else:
            raise RdbError(f"no string at byte {self.position}: the dump is damaged")

    def _rest(self, first: int) -> int:
        if first < 64:
            return first
        self._at -= 1  # of a length only its first byte was taken, which is still there
        return self.length()

    def finish(self) -> tuple[int, int]:
        """Return the checksum of all before, and the one that stands at the end.

        :raises RdbError: it is cut off, or not the end.
        """
        stated = int.from_bytes(self.take(SUM), "little")
        self.end()
        return crc64(bytes(self._unsummed[:-SUM]), self._crc), stated

    def end(self) -> None:
        """Make sure that nothing follows.

        :raises RdbError: something does.
        """
        if len(self._data) > self._at or next(self._pieces, b""):
            raise RdbError(f"something follows the end of the dump at byte {self.position}")


def unpack(data: bytes, size: int) -> bytes:
    """Return what LZF made ``data`` of.

    :raises RdbError: ``data`` is damaged.
    """
    out, at = bytearray(), 0
    try:
        while at < len(data):
            control, at = data[at], at + 1
            if control < 32:
                out += data[at : at + control + 1]
                at += control + 1
                continue
            count = control >> 5
            if count == 7:
                count, at = count + data[at], at + 1
            start, at = len(out) - ((control & 31) << 8 | data[at]) - 1, at + 1
            if start < 0:
                raise IndexError
            for place in range(start, start + count + 2):
                out.append(out[place])
    except IndexError:
        raise RdbError("a compressed string is damaged") from None
    if len(out) != size:
        raise RdbError("a compressed string is damaged")
    return bytes(out)
