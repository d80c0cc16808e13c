# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log comes in blocks of whole lines, however it is cut, packed and dated."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_blocks import (
    BLOCK,
    LONGEST,
    Clock,
    Cutter,
    Since,
)
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_unpack import unpacked, unpacker

NOON = datetime(2026, 11, 15, 12, tzinfo=timezone.utc)
NOW = NOON.timestamp() + 86400


def line_at(seconds, text="x", style=0):
    moment = NOON + timedelta(seconds=seconds)
    if style:
        return f'192.0.2.1 - - [{moment:%d/%b/%Y:%H:%M:%S} +0000] "{text}"'.encode()
    return f"{moment:%Y-%m-%dT%H:%M:%SZ} {text}".encode()


def collect():
    blocks = []

    def take(block, lines):
        assert block.endswith(b"\n")
        assert block.count(b"\n") == lines
        blocks.append(block)

    return blocks, take


@pytest.mark.parametrize("seed", range(20))
def test_every_line_comes_once_and_a_long_one_by_its_beginning(seed):
    chance = random.Random(seed)
    lines = [
        b"%d" % number
        + b"x" * chance.choice([0, 5, 80, BLOCK - 3, BLOCK, LONGEST - 2, LONGEST, LONGEST + 9, 1_000_000])
        for number in range(chance.randrange(1, 12))
    ]
    data = b"\n".join(lines) + b"\n" * chance.randrange(2)
    blocks, take = collect()
    cutter = Cutter(take)
    at = 0
    while at < len(data):
        step = chance.choice([1, 7, 1000, BLOCK, 3 * BLOCK])
        cutter.feed(data[at : at + step])
        at += step
    cutter.end()
    seen = b"".join(blocks).split(b"\n")[:-1]
    # A line that lies in one piece as a whole is passed on as a whole.
    assert [one[:LONGEST] for one in seen] == [one[:LONGEST] for one in lines]
    assert max(map(len, blocks)) <= LONGEST + BLOCK + 1


@pytest.mark.parametrize("every_line", [True, False], ids=["each line's time", "until it is beyond"])
@pytest.mark.parametrize("style", [0, 1], ids=["ISO", "access"])
@pytest.mark.parametrize("seed", range(8))
def test_what_is_older_is_left_out_with_what_belongs_to_it(every_line, style, seed):
    chance = random.Random(seed)
    lines, expected, passes = [], [], False
    for seconds in range(0, 3000, chance.choice([1, 5, 30])):
        written = seconds + chance.randrange(-4, 5)  # workers do not write in order
        lines.append(line_at(written, "word " * chance.randrange(20), style))
        passes = written >= 1000
        expected += [lines[-1]] * passes
        if chance.random() < 0.2:
            lines.append(b"    at trace")
            expected += [lines[-1]] * passes
    blocks, take = collect()
    cutter = Cutter(Since(take, Clock(NOW), NOON.timestamp() + 1000, every_line=every_line))
    data = b"\n".join(lines) + b"\n"
    for at in range(0, len(data), 997):
        cutter.feed(data[at : at + 997])
    cutter.end()
    assert b"".join(blocks).split(b"\n")[:-1] == expected


def test_with_each_lines_time_a_clock_that_goes_back_is_no_matter():
    lines = [line_at(seconds) for seconds in [*range(0, 100), *range(-500, -400), *range(100, 200)]]
    blocks, take = collect()
    cutter = Cutter(Since(take, Clock(NOW), NOON.timestamp() + 50, every_line=True))
    cutter.feed(b"\n".join(lines) + b"\n")
    assert b"".join(blocks).split(b"\n")[:-1] == [*lines[50:100], *lines[200:]]


def test_the_first_and_the_last_time_of_a_block():
    clock = Clock(NOW)
    block = b"trace\n" + line_at(1) + b"\n" + line_at(2, style=1) + b"\n" + b"trace\n" * 3
    assert clock.first(block) == NOON.timestamp() + 1
    assert clock.last(block) == NOON.timestamp() + 2
    assert clock.first(b"none\n") is clock.last(b"none\n") is None


@pytest.mark.parametrize(("kind", "pack"), [("gzip", gzip.compress), ("xz", lzma.compress), ("bzip2", bz2.compress)])
def test_compressed_logs_are_unpacked_piece_by_piece(kind, pack):
    text = b"line of a log\n" * 400_000  # 5.6 MB of which little is left
    packed = pack(text[:700]) + pack(text[700:])  # two streams in one file, as appending makes them
    pieces = list(unpacked((packed[at : at + 1000] for at in range(0, len(packed), 1000)), unpacker(kind)))
    assert b"".join(pieces) == text
    assert max(map(len, pieces)) <= 4 * BLOCK


@pytest.mark.parametrize(("kind", "pack"), [("gzip", gzip.compress), ("xz", lzma.compress), ("bzip2", bz2.compress)])
def test_a_compressed_log_that_ends_early_says_so_after_what_it_has(kind, pack):
    packed = pack(random.Random(1).randbytes(50_000))
    with pytest.raises(EOFError):
        list(unpacked(iter([packed[:-20]]), unpacker(kind)))
