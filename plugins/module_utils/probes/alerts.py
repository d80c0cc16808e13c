# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts that fire in Prometheus or Alertmanager, and the one that must. Private to this collection."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES, make_check
from ansible_collections.runbook.ops.plugins.module_utils._http_json import DOOR_OPTIONS, NoAnswerError, get_json
from ansible_collections.runbook.ops.plugins.module_utils._log_times import redact
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

SECTION = "Monitoring"
SEVERITIES = {"critical": "critical", "page": "critical", "emergency": "critical", "info": "ok", "none": "ok"}
OPTIONS = {
    "source": Option(
        "str",
        "who is asked; silences are known to Alertmanager only",
        "prometheus",
        choices=("prometheus", "alertmanager"),
    ),
    "url": Option("str", "where it answers; without it port 9090 or 9093 of this host"),
    **DOOR_OPTIONS,
    "labels": Option("dict", "labels and values of the alerts that count; without it all do", {}),
    "severities": Option("dict", "status by value of the label severity; any other value is a warning", SEVERITIES),
    "expect": Option("list", "alerts that must always fire, to show that alerts come through", []),
    "ignore": Option("list", "alerts that do not count, such as those about these very checks", []),
    "most": Option("int", "how many alerts are shown one by one", 20),
}
WHERE = ("instance", "job", "name", "check", "mountpoint", "device")  # labels that tell alerts of one name apart


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the alerts, or ``error`` where nobody answers."""
    is_prometheus = options["source"] == "prometheus"
    base = (options["url"] or f"http://127.0.0.1:{9090 if is_prometheus else 9093}").rstrip("/")
    path = "/api/v1/alerts" if is_prometheus else "/api/v2/alerts"
    try:
        document = get_json(f"{base}{path}", options, options["timeout_seconds"])
    except NoAnswerError as exc:
        return {"error": f"{base}: {exc}"}
    return {
        "error": None,
        "alerts": (read_prometheus if is_prometheus else read_alertmanager)(document),
        "now": time.time(),
    }


def read_prometheus(document: Any) -> list[dict[str, Any]]:
    """Return the alerts of an answer of Prometheus.

    :raises ProbeError: it is none.
    """
    try:
        return [
            _alert(one["labels"], one.get("annotations"), one["state"], one["activeAt"])
            for one in document["data"]["alerts"]
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise ProbeError("the answer is not that of Prometheus", "correct source or url") from exc


def read_alertmanager(document: Any) -> list[dict[str, Any]]:
    """Return the alerts of an answer of Alertmanager.

    :raises ProbeError: it is none.
    """
    try:
        return [
            _alert(
                one["labels"],
                one.get("annotations"),
                "silenced"
                if one["status"]["silencedBy"]
                else "inhibited"
                if one["status"]["inhibitedBy"]
                else "firing",
                one["startsAt"],
            )
            for one in document
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise ProbeError("the answer is not that of Alertmanager", "correct source or url") from exc


def _alert(labels: dict[str, str], annotations: dict[str, str] | None, state: str, since: str) -> dict[str, Any]:
    told = annotations or {}
    return {
        "name": str(labels.get("alertname", "?")),
        "labels": {str(key): str(value) for key, value in labels.items()},
        "summary": redact(str(told.get("summary") or told.get("description") or "").encode(), most=120),
        "state": state,
        "since": moment(since),
    }


def moment(text: str) -> float:
    """Return the seconds since 1970 of a time of day with its zone; Python 3.9 reads neither Z nor nanoseconds.

    :raises ValueError: it is no such time.
    """
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if not found:
        raise ValueError(f"{text!r} is not a time")
    zone = timezone.utc if found[2] == "Z" else datetime.fromisoformat(f"{found[1]}{found[2]}").tzinfo
    return datetime.fromisoformat(found[1]).replace(tzinfo=zone).timestamp()


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of the source, of each alert that fires, and of each that must."""
    name = options["name"] or options["source"].capitalize()
    identity = f"alerts:{name}"
    if measured["error"]:
        remedy = "see its service and its log; while it is down nobody is alerted"
        more = {"detail": measured["error"], "remedy": remedy}
        return [make_check(identity, name=f"{name} alerts", section=options["section"], status="critical", **more)]
    counted = [alert for alert in measured["alerts"] if counts(alert, options)]
    firing = [alert for alert in counted if alert["state"] == "firing"]
    firing.sort(key=lambda alert: (-STATUSES.index(status_of(alert, options)), alert["since"]))
    shown = firing[: options["most"]]
    rest = firing[options["most"] :]
    detail = f"{len(firing)} firing" if firing else "none fires"
    for state in ("pending", "silenced", "inhibited"):
        these = sorted({alert["name"] for alert in counted if alert["state"] == state})
        detail += f", {state}: {', '.join(these[:5])}" if these else ""
    summary = make_check(
        identity,
        name=f"{name} alerts",
        section=options["section"],
        status=max((status_of(alert, options) for alert in rest), key=STATUSES.index, default="ok"),
        value=len(firing),
        unit="firing",
        detail=f"{detail}; {len(rest)} of them are not shown" if rest else detail,
        remedy="see them all on the page of alerts",
    )
    return [
        summary,
        *(_check(identity, alert, measured["now"], options) for alert in shown),
        *(_expected(name, wanted, measured["alerts"], options) for wanted in options["expect"]),
    ]


def counts(alert: dict[str, Any], options: dict[str, Any]) -> bool:
    """Return whether ``alert`` is one that is looked at, and not one that must fire."""
    if alert["name"] in (*options["ignore"], *options["expect"]):
        return False
    return all(alert["labels"].get(key) == str(value) for key, value in options["labels"].items())


def status_of(alert: dict[str, Any], options: dict[str, Any]) -> str:
    """Return how bad ``alert`` is: by its label severity."""
    severities = {**SEVERITIES, **options["severities"]}
    status = str(severities.get(alert["labels"].get("severity", ""), "warning"))
    return status if status in STATUSES else "warning"


def _check(identity: str, alert: dict[str, Any], now: float, options: dict[str, Any]) -> dict[str, Any]:
    where = ",".join(alert["labels"][key] for key in WHERE if key in alert["labels"])
    age = max(0.0, round(now - alert["since"]))
    said = f": {alert['summary']}" if alert["summary"] else ""
    return make_check(
        f"{identity}:{alert['name']}{f'{{{where}}}' if where else ''}",
        name=f"{alert['name']} {where}".strip(),
        section=options["section"],
        status=status_of(alert, options),
        value=age,
        unit="s",
        detail=f"fires for {human_duration(age)}{said}",
        remedy="follow its runbook, or silence it for the time of the work: amtool silence add",
    )


def _expected(name: str, wanted: str, alerts: list[dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
    fires = any(alert["name"] == wanted and alert["state"] == "firing" for alert in alerts)
    return make_check(
        f"alerts:{name}:{wanted}",
        name=f"{name} {wanted}",
        section=options["section"],
        status="ok" if fires else "critical",
        detail="fires, as it always must"
        if fires
        else "does not fire, though it always must: alerts do not come through",
        remedy="see the rule, and whether Prometheus reaches Alertmanager",
    )
