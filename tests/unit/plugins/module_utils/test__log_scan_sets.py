# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a log are found in order, and a reading goes on where the last one ended, whatever became of the file."""

from __future__ import annotations

import gzip
import os
import shutil

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_sets import (
    close,
    expand,
    mark,
    open_members,
    order,
    resume,
)


@pytest.mark.parametrize(
    ("name", "names", "expected"),
    [
        pytest.param(
            "access.log",
            [
                "access.log",
                "access.log.10.gz",
                "access.log.2.gz",
                "access.log.1",
                "error.log",
                "access.log.swp",
                "xaccess.log.1",
            ],
            ["access.log.10.gz", "access.log.2.gz", "access.log.1", "access.log"],
            id="by number",
        ),
        pytest.param(
            "a.log",
            ["a.log-20261115.gz", "a.log", "a.log-20261114.zst", "a-20261113.log.xz", "a.log-20261116"],
            ["a-20261113.log.xz", "a.log-20261114.zst", "a.log-20261115.gz", "a.log-20261116", "a.log"],
            id="by date",
        ),
        pytest.param(
            "app-out.log",
            [
                "app-out.log",
                "app-out__2026-11-15_00-00-00.log.gz",
                "app-out__2026-11-16_00-00-00.log",
                "app-error__2026-11-16_00-00-00.log",
            ],
            ["app-out__2026-11-15_00-00-00.log.gz", "app-out__2026-11-16_00-00-00.log", "app-out.log"],
            id="of pm2-logrotate",
        ),
        pytest.param("a.log", ["a.log.1", "a.log.1.gz", "a.log"], ["a.log.1", "a.log"], id="while it is compressed"),
        pytest.param(
            "messages", ["messages.1", "messages", "messages-old"], ["messages.1", "messages"], id="no ending"
        ),
        pytest.param("a.log", ["b.log"], [], id="none"),
    ],
)
def test_rotated_files_come_oldest_first(name, names, expected):
    assert order(names, name) == expected
    assert order(names[::-1], name) == expected


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(b"first line\nsecond line\n")
    return path


def known(path, offset=None):
    members = open_members(str(path), since=None)
    try:
        return mark(members[-1], members[-1].size if offset is None else offset)
    finally:
        close(members)


def found(path, left, read_at=0.0):
    """Return what is read now, as names and what they hold from there on, and what people have to know."""
    members = open_members(str(path), since=None)
    try:
        starts, note = resume(members, {**left, "read_at": read_at})
        told = []
        for one in starts:
            with open(one.member.path, "rb") as file:  # noqa: PTH123
                data = gzip.decompress(file.read()) if one.member.kind == "gzip" else file.read()
            told.append(data[one.offset :])
        return told, note
    finally:
        close(members)


def append(path, text):
    with path.open("ab") as file:
        file.write(text)


def test_a_log_that_grew_is_read_from_where_it_was(log):
    left = known(log)
    append(log, b"third\n")
    assert found(log, left) == ([b"third\n"], None)


def test_a_log_that_did_not_grow_has_nothing_to_read(log):
    assert found(log, known(log)) == ([b""], None)


def test_a_log_that_was_rotated_is_read_to_its_end_and_the_new_one_whole(log):
    left = known(log)
    append(log, b"third\n")
    log.rename(log.with_name("app.log.1"))
    log.write_bytes(b"new\n")
    assert found(log, left) == ([b"third\n", b"new\n"], None)


def test_one_that_was_rotated_twice_and_compressed_is_found_by_its_first_line(log):
    left = known(log)
    append(log, b"third\n")
    log.with_name("app.log.2.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    log.with_name("app.log.1").write_bytes(b"between\n")
    log.write_bytes(b"new\n")
    assert found(log, left) == ([b"third\n", b"between\n", b"new\n"], None)


def test_one_that_was_copied_and_emptied_is_read_in_the_copy_first(log):
    left = known(log)
    append(log, b"third\n")
    shutil.copy(log, log.with_name("app.log.1"))
    os.truncate(log, 0)
    append(log, b"new\n")
    assert found(log, left) == ([b"third\n", b"new\n"], None)


def test_one_that_was_emptied_and_has_grown_beyond_is_recognised(log):
    left = known(log)
    shutil.copy(log, log.with_name("app.log.1"))
    os.truncate(log, 0)
    append(log, b"new line that is longer than all that was there before\n")
    assert found(log, left)[0] == [b"", b"new line that is longer than all that was there before\n"]


def test_one_that_was_emptied_without_a_copy_is_read_whole_and_it_is_told(log):
    left = known(log)
    os.truncate(log, 0)
    append(log, b"new\n")
    told, note = found(log, left)
    assert told == [b"new\n"]
    assert "not counted" in note


def test_a_glob_means_the_files_that_meet_it_but_no_compressed_ones(tmp_path):
    for age, name in enumerate(["api-1.log", "api-2.log", "api-0.log.gz", "x.log"]):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    assert expand(f"{tmp_path}/api-*.log*") == [f"{tmp_path}/api-2.log", f"{tmp_path}/api-1.log"]
    assert expand(f"{tmp_path}/none.log") == [f"{tmp_path}/none.log"]


def test_files_that_were_not_written_to_in_the_period_are_not_opened(log):
    old = log.with_name("app.log.1")
    old.write_bytes(b"old\n")
    os.utime(old, (1, 1))
    members = open_members(str(log), since=1000)
    close(members)
    assert [one.path for one in members] == [str(log)]


def test_a_rotation_between_two_looks_loses_no_file(log, monkeypatch):
    log.with_name("app.log.1").write_bytes(b"older\n")
    true_open, rotated = os.open, []

    def open_late(path, *rest, **named):
        if str(path) == str(log) and not rotated:
            rotated.append(True)
            log.with_name("app.log.1").rename(log.with_name("app.log.2"))
            log.rename(log.with_name("app.log.1"))
            log.write_bytes(b"new\n")
        return true_open(path, *rest, **named)

    monkeypatch.setattr(os, "open", open_late)
    members = open_members(str(log), since=None)
    close(members)
    assert [os.path.basename(one.path) for one in members] == ["app.log.2", "app.log.1", "app.log"]  # noqa: PTH119
