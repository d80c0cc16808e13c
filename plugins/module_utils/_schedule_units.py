# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd tells of a timer that somebody else installed, as the result of an entry of the calendar. Private to this collection."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._schedule_state import service_of, written_at

PROPERTIES = "Id,LoadState,ActiveState,Result,LastTriggerUSec,InactiveExitTimestamp,ActiveEnterTimestamp,ExecMainStatus,RandomizedDelayUSec"
SPANS = {"month": 2629800, "w": 604800, "d": 86400, "h": 3600, "min": 60, "s": 1}
SPAN = re.compile(r"(\d+)(month|min|[wdhs])(?:\s|\Z)")


def result_of(told: str, unit: str) -> dict[str, Any]:
    """Return the result of the last run of ``unit``, from what ``systemctl show --timestamp=unix`` says of it and of its service.

    A unit that is not there is ``missing``, a timer that does not wait is too. Whether a run before the last boot went well nobody knows.
    """
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in told.split("\n\n")]
    by_name = {block["Id"]: block for block in blocks if block.get("Id")}
    timer, service = by_name.get(unit, {}), by_name.get(service_of(unit), {})
    if timer.get("LoadState") != "loaded":
        return {"status": "missing", "message": f"there is no unit {unit}"}
    started = max(filter(None, map(_moment, _stamps(timer, service))), default=None)
    known: dict[str, Any] = {"started_at": written_at(started) if started else None, "seconds": 0, "message": ""}
    known["delay_seconds"] = sum(int(n) * SPANS[of] for n, of in SPAN.findall(timer.get("RandomizedDelayUSec", "")))
    if unit.endswith(".timer") and timer.get("ActiveState") != "active":
        return {
            **known,
            "status": "missing",
            "message": f"{unit} does not wait for its time: systemctl enable --now {unit}",
        }
    if service.get("ActiveState") == "failed" or service.get("Result", "success") != "success":
        return {**known, "status": "failed", "message": f"{service.get('Id')}: {service.get('Result')}"}
    if service.get("ActiveState") == "activating":
        return {**known, "status": "running"}
    return {**known, "status": "ok" if started else "unknown"}


def _stamps(timer: dict[str, str], service: dict[str, str]) -> list[str]:
    if timer is service:
        return [service.get("InactiveExitTimestamp", "")]
    return [timer.get("LastTriggerUSec", ""), service.get("InactiveExitTimestamp", "")]


def _moment(text: str) -> datetime | None:
    number = text.lstrip("@")
    return (
        datetime.fromtimestamp(int(number), tz=timezone.utc)
        if text.startswith("@") and number.isdecimal() and int(number)
        else None
    )
