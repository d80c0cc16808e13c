# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log is collected for a period, with its most frequent messages first."""

from __future__ import annotations

import os
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _diagnose_logs as logs
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_access import access
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError


def line(age, text):
    return f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() - age))} {text}\n"


def test_a_period_is_read_and_the_file_before_the_last_rotation_too(tmp_path):
    path = tmp_path / "app.log"
    path.write_text(line(60, "new"))
    (tmp_path / "app.log.1").write_text(line(9000, "old") + line(1800, "recent"))
    text, cut = logs.read_since(str(path), time.time() - 3600)
    assert [one.split()[-1] for one in text.splitlines()] == ["recent", "new"]
    assert not cut


def test_of_too_much_the_end_is_read_from_the_beginning_of_a_line(tmp_path):
    path = tmp_path / "app.log"
    path.write_text("".join(line(60, f"token-{n}") for n in range(100)))
    text, cut = logs.read_since(str(path), time.time() - 3600, 100)
    assert cut
    assert all(one.startswith("20") for one in text.splitlines())


def test_a_log_whose_lines_carry_no_time_is_shown_and_said_so(tmp_path):
    path = tmp_path / "app.log"
    path.write_text("boom\n")
    assert "carry no time" in logs.read_since(str(path), time.time() - 60)[0]


def test_a_log_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ProbeError, match="does not exist"):
        logs.log({"path": str(tmp_path / "none.log"), "since": 0})
    with pytest.raises(ProbeError, match="meets no file"):
        logs.log({"path": str(tmp_path / "*.log"), "since": 0})


def test_files_of_a_pattern_are_read_the_newest_last(tmp_path):
    for number in range(6):
        (tmp_path / f"api-{number}.log").write_text(line(10, f"n{number}"))
        os.utime(tmp_path / f"api-{number}.log", (time.time() + number, time.time() + number))
    found = logs.log({"path": str(tmp_path / "api-*.log"), "since": time.time() - 60})
    assert [one.split()[-1] for one in found.text.splitlines() if one.startswith("20")] == ["n2", "n3", "n4", "n5"]


def test_the_same_message_with_other_numbers_is_one():
    rows = logs.frequent(
        [line(n, f"connect ECONNREFUSED 10.0.0.{n}:5432 after {n} ms") for n in range(3)] + ["other error"]
    )
    assert [(row[0], row[2].split(" ", 1)[-1]) for row in rows] == [
        (3, "connect ECONNREFUSED # after # ms "),
        (1, "error"),
    ]


@pytest.mark.parametrize(
    ("text", "is_trouble"),
    [
        ("TypeError: x is not a function", True),
        ('"GET / HTTP/1.1" 502 17', True),
        ("GET /api 500 in 12 ms", True),
        ("checkpoint complete: wrote 500 buffers", False),
        ("GET /api 200 in 500 ms", False),
        ("2026/11/21 12:00:00 [crit] 1#1: no memory", True),
    ],
)
def test_trouble_is_known_by_its_words(text, is_trouble):
    assert bool(logs.TROUBLE.search(text)) is is_trouble


def test_requests_are_counted_by_status_address_and_path_without_arguments(tmp_path):
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
    rows = [
        f'203.0.113.{n % 2} - - [{stamp}] "GET /a?token=x{n} HTTP/1.1" {503 if n < 3 else 200} 1 "-" "-"\n'
        for n in range(10)
    ]
    (tmp_path / "access.log").write_text("".join(rows))
    found = access({"path": str(tmp_path / "access.log"), "since": time.time() - 60})
    assert found.note == "10 requests from 2 addresses, 3 failed (30.0 %)"
    assert "503     GET /a       3" in found.text
    assert "token" not in found.text
