# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums of 64 bits: CRC-64/Jones ends a dump of Redis, CRC-64/ECMA a collection in one of MongoDB. Private to this collection.

Byte by byte Python manages 10 MB a second. So a block is cut into lanes that go forward side by side: one step of all of them
is a few calls of ``bytes.translate`` and one of exclusive or, which run in C, and at the end the lanes are joined.
"""

from __future__ import annotations

from functools import lru_cache

# The polynomials, with their bits the other way round.
JONES = 0x95AC9329AC4BC9B5  # 0xAD93D23594C935A9
ECMA = 0xC96C5795D7870F42  # 0x42F0E1EBA9EA3693
STEPS = 512  # bytes of a lane
FEWEST, MOST = 32, 2048  # lanes of a block
BLOCK = MOST * STEPS


def _one(byte: int, polynomial: int) -> int:
    for _bit in range(8):
        byte = byte >> 1 ^ (polynomial if byte & 1 else 0)
    return byte


@lru_cache(maxsize=2)
def _table(polynomial: int) -> tuple[int, ...]:
    return tuple(_one(byte, polynomial) for byte in range(256))


def crc64(data: bytes, crc: int = 0, polynomial: int = JONES) -> int:
    """Return the checksum of ``data`` that follows what has the checksum ``crc``."""
    start = 0
    while len(data) - start >= FEWEST * STEPS:
        lanes = min((len(data) - start) // STEPS, MOST)
        crc = _block(data[start : start + lanes * STEPS], lanes, crc, polynomial)
        start += lanes * STEPS
    return _bytewise(data[start:], crc, polynomial)


def _bytewise(data: bytes, crc: int, polynomial: int) -> int:
    table = _table(polynomial)
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc


def _block(data: bytes, count: int, crc: int, polynomial: int) -> int:
    translations = _translations(polynomial)
    # planes[k] holds byte k of the checksum of every lane; only the first lane follows on from what was before.
    planes = [(crc >> 8 * place) & 255 for place in range(8)] + [0]
    for step in range(STEPS):
        column = int.from_bytes(data[step::STEPS], "little")
        index = (planes[0] ^ column).to_bytes(count, "little")
        planes = [
            planes[place + 1] ^ int.from_bytes(index.translate(translations[place]), "little") for place in range(8)
        ] + [0]
    lanes = [plane.to_bytes(count, "little") for plane in planes[:8]]
    (t0, t1, t2, t3, t4, t5, t6, t7), joined = _shifts(polynomial), 0
    for lane in zip(*lanes):
        joined = (
            t0[joined & 255]
            ^ t1[joined >> 8 & 255]
            ^ t2[joined >> 16 & 255]
            ^ t3[joined >> 24 & 255]
            ^ t4[joined >> 32 & 255]
            ^ t5[joined >> 40 & 255]
            ^ t6[joined >> 48 & 255]
            ^ t7[joined >> 56]
            ^ int.from_bytes(lane, "little")
        )
    return joined


@lru_cache(maxsize=2)
def _translations(polynomial: int) -> tuple[bytes, ...]:
    return tuple(bytes(entry >> 8 * place & 255 for entry in _table(polynomial)) for place in range(8))


@lru_cache(maxsize=2)
def _shifts(polynomial: int) -> tuple[tuple[int, ...], ...]:
    """Return what becomes of each byte of a checksum, at each of its eight places, once a lane of zeros has followed."""
    zeros = bytes(STEPS)
    tables = []
    for place in range(8):
        bits = [_bytewise(zeros, 1 << 8 * place + bit, polynomial) for bit in range(8)]
        table = [0]
        for bit in bits:
            table += [entry ^ bit for entry in table]
        tables.append(tuple(table))
    return tuple(tables)
