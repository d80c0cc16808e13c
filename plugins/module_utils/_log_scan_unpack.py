# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What files hold, compressed or not, in pieces of bounded size. Private to this collection."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any

PIECE = 64 << 10


def pieces_of(descriptor: int, start: int, end: int, counted: Callable[[int], None]) -> Iterator[bytes]:
    """Yield what a file holds between two offsets; one that was cut meanwhile ends early."""
    while start < end:
        piece = os.pread(descriptor, min(PIECE, end - start), start)
        if not piece:
            return
        start += len(piece)
        counted(len(piece))
        yield piece


def unpacker(kind: str) -> Callable[[], Any]:
    """Return what makes decompressors for ``gzip``, ``xz`` or ``bzip2``.

    :raises ImportError: this Python has none.
    """
    if kind == "xz":
        import lzma  # noqa: PLC0415  # few logs need it, and not every Python has it

        return lzma.LZMADecompressor
    if kind == "bzip2":
        import bz2  # noqa: PLC0415  # the same

        return bz2.BZ2Decompressor
    return lambda: zlib.decompressobj(31)


def unpacked(pieces: Iterator[bytes], make: Callable[[], Any]) -> Iterator[bytes]:
    """Yield what compressed ``pieces`` hold, in pieces no larger than some blocks; several streams in one file follow each other.

    :raises EOFError: it ends in the middle.
    """
    machine, begun = make(), False
    for piece in pieces:
        data = piece
        while data:
            if machine.eof:
                data = data.lstrip(b"\0")  # padding
                if not data:
                    break
                machine, begun = make(), False
            begun = True
            yield from _some(machine, data)
            data = machine.unused_data
    if begun and not machine.eof:
        raise EOFError("it ends in the middle")


def _some(machine: Any, data: bytes) -> Iterator[bytes]:
    """Yield what becomes of ``data``, never more than some blocks at once: a small file may hold a very large one."""
    most = 4 * PIECE
    out = machine.decompress(data, most)
    while True:
        if out:
            yield out
        if machine.eof:
            return
        tail = getattr(machine, "unconsumed_tail", None)
        if tail is not None:  # zlib
            if not tail:
                return
            out = machine.decompress(tail, most)
        else:
            if machine.needs_input:
                return
            out = machine.decompress(b"", most)
