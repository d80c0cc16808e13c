# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log is read in parts that together are the whole, and only from where the period begins."""

from __future__ import annotations

import os
import random
from datetime import datetime, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _log_scan_source as source
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_sets import Start, close, open_members

START = datetime(2026, 11, 15, tzinfo=timezone.utc).timestamp()


@pytest.fixture
def opened(tmp_path):
    files = []

    def make(name, data):
        (tmp_path / name).write_bytes(data)
        files.append(open_members(str(tmp_path / name), since=None)[-1])
        return files[-1]

    yield make
    close(files)


@pytest.mark.parametrize("seed", range(10))
def test_two_halves_are_the_whole_and_end_at_the_ends_of_lines(opened, seed):
    chance = random.Random(seed)
    texts = [b"".join(b"x" * chance.randrange(300) + b"\n" for _ in range(chance.randrange(80))) for _ in range(3)]
    parts = [source.Part(opened(f"{index}.log", text), 0, len(text)) for index, text in enumerate(texts)]
    first, second = source.halves(parts)
    read = [b"".join(source.read_part(part, lambda _size: None)) for part in (*first, *second)]
    assert b"".join(read) == b"".join(texts)
    assert all(piece.endswith(b"\n") for piece in read if piece)


def test_only_the_period_is_read_of_a_large_log_in_order(opened, monkeypatch):
    monkeypatch.setattr(source, "LOOK_AT_ALL", 1000)
    lines = [
        b"%s x\n" % datetime.fromtimestamp(START + at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        for at in range(100_000)
    ]
    member = opened("a.log", b"".join(lines))
    part = source.part_of(Start(member, 0, False), since=START + 90_000, now=START + 100_000, whole_lines=False)
    assert not part.every_line
    assert part.start == (90_000 - source.SLACK_SECONDS) * len(lines[0])


def test_a_large_log_whose_clock_went_back_is_read_line_by_line(opened, monkeypatch):
    monkeypatch.setattr(source, "LOOK_AT_ALL", 1000)
    times = [*range(50_000), *range(10_000, 60_000)]
    lines = [
        b"%s x\n" % datetime.fromtimestamp(START + at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        for at in times
    ]
    member = opened("a.log", b"".join(lines))
    part = source.part_of(Start(member, 0, False), since=START + 45_000, now=START + 100_000, whole_lines=False)
    assert part.every_line
    assert part.start == 0


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([(0, 5.0), (9, 6.0)], True),
        ([(9, 6.0), (0, 5.0)], True),
        ([(0, 50.0), (9, 45.0)], True),
        ([(0, 50.0), (9, 6.0)], False),
    ],
)
def test_order_is_that_of_the_places_in_the_file(seen, expected):
    assert source.is_ordered(seen) is expected


def test_a_last_line_without_an_end_waits_for_the_next_reading(opened):
    member = opened("a.log", b"whole\nhalf")
    assert source.part_of(Start(member, 0, False), since=None, now=0, whole_lines=True).end == 6
    assert source.part_of(Start(member, 0, False), since=None, now=0, whole_lines=False).end == 10


@pytest.mark.parametrize(
    ("argv", "wrong"),
    [
        (["/nonexistent/program"], "is not installed"),
        (["ls", "/nonexistent"], "failed"),
        (["sleep", "60"], "did not end"),
    ],
)
def test_a_program_that_fails_is_told(argv, wrong):
    with pytest.raises(source.SourceError, match=wrong):
        list(source.run(argv, timeout_seconds=5 if argv[0] != "sleep" else 0.1))


def test_a_program_is_read_while_it_prints():
    assert b"".join(source.run(["seq", "3"])).split() == [b"1", b"2", b"3"]


def test_what_ufw_and_sshd_would_write_to_a_file_is_in_the_journal():
    assert "_TRANSPORT=kernel" in source.journal({"format": "ufw"}, None, 1)
    assert "--since=@5.000000" in source.journal({"unit": "x.service"}, 5, 6)
    assert os.path.basename(source.journal({"unit": "x"}, None, 1)[0]) == "journalctl"  # noqa: PTH119
