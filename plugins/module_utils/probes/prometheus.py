# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus: ready, each of its targets up, each of its rules evaluated. Private to this collection."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._http_json import DOOR_OPTIONS, NoAnswerError, get, get_json
from ansible_collections.runbook.ops.plugins.module_utils._log_times import redact
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits

SECTION = "Monitoring"
OPTIONS = {
    "url": Option("str", "where it answers", "http://127.0.0.1:9090"),
    **DOOR_OPTIONS,
    "jobs": Option("list", "jobs that must have a target; without it any"),
    "down": Option("limits", "targets that are down; all of them down is critical", limits(1)),
    "failing_rules": Option("limits", "rules that cannot be evaluated", limits(1)),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return whether it is ready, its targets and its rules, or ``error`` where it does not answer."""
    base, deadline = options["url"].rstrip("/"), time.monotonic() + options["timeout_seconds"]

    def left() -> float:
        return max(0.1, deadline - time.monotonic())

    try:
        status, _body = get(f"{base}/-/ready", options, left())
        if status in (401, 403):
            raise ProbeError(f"HTTP {status}: it does not tell this account", "correct token, or user and password")
        if status != 200:
            return {"error": f"{base} is not ready: HTTP {status}"}
        targets = read_targets(get_json(f"{base}/api/v1/targets?state=active", options, left()))
        rules = read_rules(get_json(f"{base}/api/v1/rules", options, left()))
    except NoAnswerError as exc:
        return {"error": f"{base}: {exc}"}
    return {"error": None, "targets": targets, "rules": rules}


def read_targets(document: Any) -> list[dict[str, str]]:
    """Return job, instance, health and last error of each target.

    :raises ProbeError: this is no answer of Prometheus.
    """
    try:
        return [
            {
                "job": str(target["labels"].get("job", "")),
                "instance": str(target["labels"].get("instance", "")),
                "health": str(target["health"]),
                "error": str(target.get("lastError") or ""),
            }
            for target in document["data"]["activeTargets"]
        ]
    except (KeyError, TypeError, AttributeError) as exc:
        raise ProbeError("the answer about targets is not Prometheus's", "correct url") from exc


def read_rules(document: Any) -> list[dict[str, str]]:
    """Return name, health and last error of each rule.

    :raises ProbeError: this is no answer of Prometheus.
    """
    try:
        return [
            {"name": str(rule["name"]), "health": str(rule["health"]), "error": str(rule.get("lastError") or "")}
            for group in document["data"]["groups"]
            for rule in group["rules"]
        ]
    except (KeyError, TypeError, AttributeError) as exc:
        raise ProbeError("the answer about rules is not Prometheus's", "correct url") from exc


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of the server, of its targets and of its rules."""
    name, section = options["name"] or "Prometheus", options["section"]
    identity = f"prometheus:{name}"
    if measured["error"]:
        remedy = "see its service and its log; while it is down nobody is alerted"
        more = {"detail": measured["error"], "remedy": remedy}
        return [make_check(identity, name=name, section=section, status="critical", **more)]
    return [
        make_check(identity, name=name, section=section, status="ok", detail="ready"),
        _targets(identity, name, measured["targets"], options),
        _rules(identity, name, measured["rules"], options),
    ]


def _targets(identity: str, name: str, targets: list[dict[str, str]], options: dict[str, Any]) -> dict[str, Any]:
    down = [target for target in targets if target["health"] == "down"]
    new = [target for target in targets if target["health"] not in ("up", "down")]
    missing = sorted(set(options["jobs"] or []) - {target["job"] for target in targets})
    status, limit = judge_high(len(down), **options["down"])
    detail = f"{len(targets) - len(down) - len(new)} up"
    if new:
        detail += f", {len(new)} not asked yet"
    if down:
        named = [f"{target['job']}/{target['instance']} ({why(target['error'])})" for target in down]
        more = f" and {len(down) - 5} more" if len(down) > 5 else ""
        detail = f"{len(down)} of {len(targets)} down: {', '.join(named[:5])}{more}"
    if missing:
        status = "critical" if status == "critical" else "warning"
        detail += f"; no target in job {', '.join(missing)}"
    if not targets or len(down) == len(targets):
        status = "critical"
    if not targets:
        detail = "it watches nothing: there is no target"
    return make_check(
        f"{identity}:targets",
        name=f"{name} targets",
        section=options["section"],
        status=status,
        value=len(down),
        unit="down",
        limit=limit,
        detail=detail,
        remedy="ask the target by hand on its metrics path, then see scrape_configs: promtool check config",
    )


def _rules(identity: str, name: str, rules: list[dict[str, str]], options: dict[str, Any]) -> dict[str, Any]:
    failing = [rule for rule in rules if rule["health"] == "err"]
    status, limit = judge_high(len(failing), **options["failing_rules"])
    detail = f"{len(rules)} evaluated"
    if failing:
        named = ", ".join(f"{rule['name']} ({why(rule['error'])})" for rule in failing[:3])
        detail = f"{len(failing)} of {len(rules)} fail: {named}"
    return make_check(
        f"{identity}:rules",
        name=f"{name} rules",
        section=options["section"],
        status=status,
        value=len(failing),
        unit="failing",
        limit=limit,
        detail=detail,
        remedy="an alert whose rule fails never fires: see the expression on the page /rules",
    )


def why(error: str) -> str:
    """Return the part of an error that says what happened: before it stands what was tried."""
    return redact(error.rsplit(": ", 1)[-1].encode(), most=80) or "no reason given"
