# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd tells of a timer that somebody else installed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._schedule_units import result_of
from ansible_collections.runbook.ops.plugins.module_utils.probes.schedule import judge

CALENDAR = {"system": "demo", "time_zone": "UTC", "with": "systemd", "grace_seconds": 900, "delay_seconds": 0}
CERTBOT = {"name": "renewal", "playbook": "renew", "cron": "0 0,12 * * *", "calendar": None, "done_by": "certbot.timer"}
NOON = datetime(2026, 6, 3, 12, tzinfo=timezone.utc)
TIMER = "Id=certbot.timer\nLoadState=loaded\nActiveState=active\nLastTriggerUSec=@1780473600\nResult=success\n"
SERVICE = (
    "Id=certbot.service\nLoadState=loaded\nActiveState=inactive\nResult=success\nInactiveExitTimestamp=@1780473601\n"
)


@pytest.mark.parametrize(
    ("told", "status"),
    [
        pytest.param(f"{TIMER}\n{SERVICE}", "ok", id="it ran"),
        pytest.param(f"{TIMER}\n{SERVICE.replace('=success', '=exit-code')}", "failed", id="it failed"),
        pytest.param(f"{TIMER}\n{SERVICE.replace('=inactive', '=activating')}", "running", id="it runs"),
        pytest.param(f"{TIMER.replace('=active', '=inactive')}\n{SERVICE}", "missing", id="the timer does not wait"),
        pytest.param(
            "Id=certbot.timer\nLoadState=not-found\n\nId=certbot.service\nLoadState=not-found\n",
            "missing",
            id="no unit",
        ),
        pytest.param(
            f"{TIMER.replace('@1780473600', '')}\n{SERVICE.replace('@1780473601', '')}", "unknown", id="never yet"
        ),
    ],
)
def test_a_unit_that_somebody_else_installed_has_a_result(told, status):
    found = result_of(told, "certbot.timer")
    assert found["status"] == status
    assert found.get("started_at") == (None if status == "unknown" or "not-found" in told else "2026-06-03T08:00:01Z")


def judged(result, now, **times):
    calendar = {"config": {**CALENDAR, "entries": {"renewal": CERTBOT}}, "results": {"renewal": result}, "since": 0}
    up_since = times.get("up_since", NOON - timedelta(days=9)).timestamp()
    (check,) = judge({"calendars": [calendar], "now": now.timestamp(), "up_since": up_since}, {"section": "Calendar"})
    return check


@pytest.mark.parametrize(("span", "seconds"), [("12h", 43200), ("1h 30min", 5400), ("2min 5s", 125), ("0", 0), ("", 0)])
def test_by_how_much_a_timer_elapses_later_is_known(span, seconds):
    told = f"{TIMER}RandomizedDelayUSec={span}\n\n{SERVICE}"
    assert result_of(told, "certbot.timer")["delay_seconds"] == seconds


@pytest.mark.parametrize(
    ("started", "now", "status"),
    [
        pytest.param(NOON - timedelta(hours=11), NOON + timedelta(hours=11), "ok", id="within its delay of 12 hours"),
        pytest.param(NOON - timedelta(hours=11), NOON + timedelta(hours=13), "critical", id="after it"),
    ],
)
def test_a_timer_that_elapses_later_by_chance_is_missed_only_after_that(started, now, status):
    result = {"status": "ok", "started_at": started.isoformat(), "delay_seconds": 43200}
    check = judged(result, now)
    assert check["status"] == status
    remedy = "journalctl -u certbot.service -n 50; then systemctl start certbot.service"
    assert check["remedy"] == (remedy if status == "critical" else None)


@pytest.mark.parametrize(
    ("up_since", "status"),
    [
        pytest.param(NOON + timedelta(hours=1), "ok", id="due before the boot, nobody knows"),
        pytest.param(NOON - timedelta(hours=1), "critical", id="due since the boot"),
    ],
)
def test_a_unit_that_did_not_run_since_the_boot_is_judged_by_what_was_due_since_then(up_since, status):
    result = {"status": "unknown", "started_at": None, "delay_seconds": 0}
    assert judged(result, NOON + timedelta(hours=2), up_since=up_since)["status"] == status
