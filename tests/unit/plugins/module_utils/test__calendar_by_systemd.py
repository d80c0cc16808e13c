# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we say is due is what the systemd of this machine says, on both changes of the clocks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._calendar import occurrences, to_oncalendar

ANALYZE = shutil.which("systemd-analyze")
COUNT = 20
# The first time is called alike by all, the others "Iter. #2:" by systemd 252 and "Iteration #2:" by 257.
TIME = re.compile(r"\s*(?:Next elapse|Iter(?:\.|ation) #\d+): \w{3} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC$")
ENTRIES = (
    {"cron": "0 9 * * *"},
    {"cron": "30 2 * * *"},
    {"cron": "*/20 1-4 * * *"},
    {"cron": "*/5 * * * *"},
    {"cron": "0 4 1,15 * 1"},
    {"cron": "15 2 */3 * 5-7"},
    {"calendar": "Mon *-*-01..07 05:00:00"},
    {"calendar": "Mon *-*~07/1 11:00:00"},
    {"calendar": "*-*~01..03 23:30"},
    {"calendar": "Tue *-01,04,07,10-01..07 11:00:00"},
)


def by_systemd(expression, base):
    argv = [ANALYZE, "calendar", f"--base-time={base:%Y-%m-%d %H:%M:%S} UTC", f"--iterations={COUNT}", expression]
    told = subprocess.run(
        argv, capture_output=True, text=True, check=True, env={**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    ).stdout
    return read_times(told)


def read_times(told):
    found = [TIME.match(line) for line in told.splitlines()]
    return [datetime.strptime(met[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc) for met in found if met]


@pytest.mark.parametrize("called", ["       Iter. #2:", "   Iteration #2:"], ids=["systemd 252", "systemd 257"])
def test_the_words_of_each_systemd_are_read(called):
    told = (
        "Normalized form: Mon *-*-01..07 05:00:00 America/New_York\n"
        "    Next elapse: Mon 2026-04-06 09:00:00 UTC\n"
        "       From now: 7 months 16 days ago\n"
        f"{called} Mon 2026-05-04 09:00:00 UTC\n"
        "       From now: 6 months 19 days ago\n"
    )
    assert [f"{at:%m-%d %H}" for at in read_times(told)] == ["04-06 09", "05-04 09"]
    assert read_times("    Next elapse: never\n") == []


@pytest.mark.skipif(ANALYZE is None, reason="there is no systemd on this machine")
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: next(iter(entry.values())))
def test_systemd_says_the_same(entry, zone):
    for day in ("2026-03-07", "2026-03-28", "2026-10-24", "2026-10-31"):
        base = datetime.fromisoformat(day).replace(tzinfo=timezone.utc)
        told = [by_systemd(line, base) for line in to_oncalendar(entry, zone)]
        assert any(told), "systemd-analyze prints what is not understood here"
        until = min((one[-1] for one in told if len(one) == COUNT), default=base + timedelta(days=400))
        expected = sorted({at for one in told for at in one if at < until})
        assert occurrences(entry, zone, base + timedelta(seconds=1), until) == expected
