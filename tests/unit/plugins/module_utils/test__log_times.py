# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time of a line is read in the forms that logs use, and secrets are not shown."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._log_times import line_time, redact

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone.utc).timestamp()


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    import time  # noqa: PLC0415

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "line",
    [
        b"2026-11-21T12:00:00.123Z boom",
        b"2026-11-21T13:00:00+01:00 boom",
        b"2026-11-21 07:00:00,5 -0500 boom",
        b"2026-11-21T12:00:00: boom",
        b"2026/11/21 12:00:00 [error] 1#1: boom",
        b"[2026-11-21 12:00:00] boom",
        b'127.0.0.1 - - [21/Nov/2026:13:00:00 +0100] "GET / HTTP/1.1" 500 1',
        b"Nov 21 12:00:00 host sshd[1]: boom",
        b'{"level":50,"time":1795262400000,"msg":"boom"}',
    ],
)
def test_the_time_of_a_line_is_read(line):
    assert line_time(line, NOON + 60) == pytest.approx(NOON, abs=1)


@pytest.mark.parametrize(
    "line", [b"", b"    at foo (bar.js:1:2)", b"2026-13-45 99:00:00 x", b"Foo 21 12:00:00 x", b"12345678901234"]
)
def test_a_line_without_a_time_has_none(line):
    assert line_time(line, NOON) is None


def test_a_time_without_a_year_lies_in_the_past():
    assert line_time(b"Dec 31 23:59:59 host x", NOON) < NOON


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"password=hunter2 user=joe", "password=*** user=joe"),
        (b'{"token": "abc.def", "a": 1}', '{"token": "***", "a": 1}'),
        (b"Authorization: Bearer abc", "Authorization: Bearer ***"),
        (b"connect postgres://app:pw@db/shop failed", "connect postgres://app:***@db/shop failed"),
        (b"\x1b[31mred\x1b[0m\tline", "red line"),
    ],
)
def test_what_is_shown_holds_no_secret_and_no_control_character(line, shown):
    assert redact(line) == shown


def test_a_long_line_is_cut():
    assert len(redact(b"x" * 5000)) == 200
