# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor on the host: it looked lately, and its messages arrive. Private to this collection."""

from __future__ import annotations

import json
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits

SECTION = "Monitor"
OPTIONS = {
    "paths": Option(
        "list",
        "files in which it keeps what it knows; the newest counts",
        ["/var/lib/runbook-ops/monitor/state.json", "/run/runbook-ops-monitor/state.json"],
    ),
    "age_seconds": Option("limits", "time since its last look", limits(900, 3600)),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the newest state, and how old it is.

    :raises ProbeError: there is none, or it may not be read.
    """
    found = []
    for path in options["paths"]:
        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123  # pathlib would be an import more
                found.append(json.load(file))
        except FileNotFoundError:
            continue
        except ValueError:
            raise ProbeError(f"{path} is not JSON", "it is written anew by the next run of the monitor") from None
    if not found:
        raise ProbeError("no monitor has looked at this host yet", "run the playbook install_monitoring")
    state = max(found, key=lambda one: one.get("saved", 0))
    failing = {name: place["error"] for name, place in state["channels"].items() if place["failures"]}
    return {
        "age_seconds": max(0.0, time.time() - state["at"]),
        "msg": state["msg"],
        "waiting": len(state["outbox"]),
        "failing": failing,
    }


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check for the look, and one for the messages."""
    age = round(measured["age_seconds"])
    status, limit = judge_high(age, **options["age_seconds"])
    name = options["name"] or "Monitor"
    failing = ", ".join(f"{channel}: {reason}" for channel, reason in sorted(measured["failing"].items()))
    return [
        make_check(
            "monitor:look",
            name=f"{name}: last look",
            section=options["section"],
            status=status,
            value=age,
            unit="s",
            limit=limit,
            detail=f"it looked {age} s ago and found: {measured['msg']}",
            remedy="systemctl status runbook-ops-monitor.timer; journalctl -u runbook-ops-monitor.service",
        ),
        make_check(
            "monitor:messages",
            name=f"{name}: messages",
            section=options["section"],
            status="warning" if failing else "ok",
            value=measured["waiting"],
            unit="waiting",
            detail=failing or "all of them arrived",
            remedy="correct ops_alerts, or the receiver; what waits is sent once it answers",
        ),
    ]
