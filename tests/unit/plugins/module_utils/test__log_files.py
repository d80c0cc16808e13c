# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log is read from a time on, without reading what is older."""

from __future__ import annotations

import io
import os
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._log_files import (
    compile_patterns,
    find_start,
    last_line_with,
    scan,
    with_rotated,
)

START = datetime(2025, 1, 1, 0, 0, 0, tzinfo=timezone.utc)
ERROR = compile_patterns(["error", "no space left"])


def stamp(minutes):
    return (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ").encode()


def at(minutes):
    return (START + timedelta(minutes=minutes)).timestamp()


def log(count, every=10):
    """Return one line a minute, an error in every tenth, a stack trace without a time after each."""
    lines = []
    for minute in range(count):
        if minute % every == 0:
            lines += [stamp(minute) + b" ERROR number %d" % minute, b"    at some.place (file.js:1)"]
        else:
            lines.append(stamp(minute) + b" all is well and this line is here to make the file large " + b"." * 50)
    return b"\n".join(lines) + b"\n"


def search(paths, since, **options):
    wanted = {"since": since, "now": at(100_000), "most_bytes": 1 << 30, "keep": 2, **options}
    return scan([str(path) for path in paths], ERROR, **wanted)


def test_only_lines_since_then_count(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(log(20_000))
    found = search([path], at(19_000))
    assert found.count == 100
    assert [line.rsplit(" ", 1)[1] for line in found.examples] == ["19980", "19990"]
    assert (found.undated, found.cut) == (False, False)


@pytest.mark.parametrize("minutes", [-5, 0, 1, 4_999, 5_000, 9_999, 10_000, 20_000])
def test_bisecting_finds_the_very_line(minutes):
    data = log(10_000)
    start = find_start(io.BytesIO(data), len(data), at(minutes), at(100_000))
    expected = data.find(stamp(max(0, minutes))) if minutes < 10_000 else len(data)
    assert start == expected


class Counting(io.BytesIO):
    """Counts the bytes that are read."""

    def __init__(self, data):
        super().__init__(data)
        self.bytes_read = 0

    def readline(self, size=-1):
        line = super().readline(size)
        self.bytes_read += len(line)
        return line


def test_bisecting_reads_a_small_part():
    data = log(100_000)
    file = Counting(data)
    find_start(file, len(data), at(90_000), at(200_000))
    assert file.bytes_read < 100_000 < len(data) / 50


def test_lines_without_a_time_are_counted_near_the_end_and_said_to_be_undated(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(b"error without a time\n" * 5)
    found = search([path], at(0))
    assert (found.count, found.undated) == (5, True)


def test_a_file_without_times_in_which_nothing_is_met_leaves_the_others_dated(tmp_path):
    path, trace = tmp_path / "app.log", tmp_path / "app-2.log"
    path.write_bytes(stamp(1) + b" error of today\n")
    trace.write_bytes(b"    at listOnTimeout (node:internal/timers:581:17)\n")
    found = search([path, trace], at(0))
    assert (found.count, found.undated) == (1, False)


def test_a_file_that_was_not_written_since_is_not_opened(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(b"error\n")
    os.utime(path, (at(0), at(0)))
    assert search([path], at(10)).count == 0


def test_the_rotated_file_belongs_to_it(tmp_path):
    path, older = tmp_path / "app.log", tmp_path / "app.log.1"
    older.write_bytes(stamp(1) + b" error in the evening\n")
    path.write_bytes(stamp(500) + b" error in the morning\n")
    assert with_rotated(str(path)) == [str(older), str(path)]
    assert search(with_rotated(str(path)), at(0)).count == 2


def test_more_than_is_read_is_said(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(log(1000))
    found = search([path], at(0), most_bytes=10_000)
    assert found.cut
    assert 0 < found.count < 100


def test_a_line_counts_once_and_the_last_needs_no_end(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(stamp(1) + b" error error error\n" + stamp(2) + b" No space left on device")
    assert search([path], at(0)).count == 2


def test_a_broken_pattern_is_named():
    with pytest.raises(ValueError, match=r"'\(' is not a regular expression"):
        compile_patterns(["("])


@pytest.mark.parametrize("filler", [0, 10, 200_000])
def test_the_last_line_with_a_word_is_found_from_the_end(tmp_path, filler):
    path = tmp_path / "backup.log"
    path.write_bytes(b"one done\ntwo done\n" + b"something else\n" * filler)
    assert last_line_with(str(path), b"done") == (9, b"two done")
    assert last_line_with(str(path), b"missing") is None
