# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd tells of a timer that somebody else installed."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._schedule_units import result_of

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
