# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we say is due is what the systemd of this machine says, on both changes of the clocks."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._calendar import occurrences, to_oncalendar

ANALYZE = shutil.which("systemd-analyze")


def is_that_of_debian_12() -> bool:
    told = subprocess.run([str(ANALYZE), "--version"], capture_output=True, text=True, check=False).stdout
    return told.startswith("systemd 252")


COUNT = 20
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
    lines = [
        line.split()
        for line in told.splitlines()
        if line.strip().startswith(("Next elapse:", "Iter. #")) and "never" not in line
    ]
    return [
        datetime.strptime(" ".join(words[-3:-1]), "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc) for words in lines
    ]


@pytest.mark.skipif(
    ANALYZE is None or not is_that_of_debian_12(),
    reason="compared with systemd 252: what others print is to be read first",
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: next(iter(entry.values())))
def test_systemd_says_the_same(entry, zone):
    for day in ("2026-03-07", "2026-03-28", "2026-10-24", "2026-10-31"):
        base = datetime.fromisoformat(day).replace(tzinfo=timezone.utc)
        told = [by_systemd(line, base) for line in to_oncalendar(entry, zone)]
        until = min((one[-1] for one in told if len(one) == COUNT), default=base + timedelta(days=400))
        expected = sorted({at for one in told for at in one if at < until})
        assert occurrences(entry, zone, base + timedelta(seconds=1), until) == expected
