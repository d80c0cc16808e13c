# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alert rules for Prometheus and a route for Alertmanager, from a system's description. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Rule = dict[str, Any]
System = Mapping[str, Any]
REAL = 'fstype!~"tmpfs|ramfs|squashfs|iso9660|nfs.*|cifs",mountpoint!~"/run.*|/var/lib/docker/.+"'
WHERE = "{{ $labels.instance }}"
VALUE = '{{ $value | printf "%.1f" }}'


class Limit(NamedTuple):
    """What a threshold of the description is compared with, and what is said about it."""

    name: str
    threshold: str  # a key of ops_thresholds
    expression: str
    summary: str
    below: bool = False  # less is worse
    minutes: int = 5


# What node_exporter measures, and what the monitor on the host writes into its textfile.
HOST = (
    Limit(
        "HighCPUUsage",
        "cpu_percent",
        '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])))',
        f"The processors of {WHERE} are busy for {VALUE} % of the time",
    ),
    Limit(
        "HighMemoryUsage",
        "memory_percent",
        "100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)",
        f"Programs on {WHERE} use {VALUE} % of its memory",
    ),
    Limit(
        "HighLoad",
        "load_per_cpu",
        'node_load5 / on (instance) group_left () count by (instance) (node_cpu_seconds_total{mode="idle"})',
        f"{VALUE} processes want to run for each processor of {WHERE}",
    ),
    Limit(
        "LowDiskSpace",
        "disk_percent",
        f"max by (instance, mountpoint) (100 * (1 - node_filesystem_avail_bytes{{{REAL}}}"
        f" / node_filesystem_size_bytes{{{REAL}}}))",
        "{{ $labels.mountpoint }} of {{ $labels.instance }} is full to " + VALUE + " %",
    ),
    Limit(
        "LowInodes",
        "inodes_percent",
        f"max by (instance, mountpoint) (100 * (1 - node_filesystem_files_free{{{REAL}}}"
        f" / (node_filesystem_files{{{REAL}}} > 0)))",
        "{{ $labels.mountpoint }} of {{ $labels.instance }} has used " + VALUE + " % of its inodes",
    ),
)
CHECKS = (
    Limit(
        "HighResponseTime",
        "response_seconds",
        'runbook_check_value{id=~"http:.*",unit="s"}',
        "{{ $labels.id }} takes " + VALUE + " s to answer",
        minutes=10,
    ),
    Limit(
        "SSLCertificateExpiringSoon",
        "certificate_days",
        'runbook_check_value{id=~"certificate:.*",unit="days"}',
        "{{ $labels.id }} expires in " + VALUE + " days",
        below=True,
    ),
)
# Rules of a check that follows from another would tell one fault twice.
ROOTS = "unless on (instance, id) runbook_check_consequence == 1"


def make_rules(system: System, *, metrics: bool, interval_seconds: int) -> dict[str, Any]:
    """Return the rules as Prometheus reads them.

    :param system: the description as the role system returns it
    :param metrics: whether the monitor of each host writes a textfile
    :param interval_seconds: between two looks of it
    """
    name, thresholds = system["system"]["name"], system.get("thresholds") or {}
    own = [_own(rule) for rule in (system.get("alerts") or {}).get("rules") or []]
    taken = {rule["alert"] for rule in own}
    limits = [limit for limit in (*HOST, *(CHECKS if metrics else ())) if limit.name not in taken]
    rules = [rule for limit in limits for rule in _limited(limit, thresholds.get(limit.threshold) or {})]
    watch = [rule for rule in _monitored(interval_seconds) if rule["alert"] not in taken] if metrics else []
    for rule in (*own, *rules, *watch):
        rule["labels"] = {**rule["labels"], "system": name}
    parts = {"own": own, "thresholds": rules, "monitor": watch}
    return {
        "groups": [{"name": f"runbook.ops {name} {part}", "rules": found} for part, found in parts.items() if found]
    }


def _own(rule: Mapping[str, Any]) -> Rule:
    return _rule(
        rule["name"],
        rule["expression"],
        seconds=rule["for_seconds"],
        severity=rule["severity"],
        summary=rule["summary"],
        playbook=rule.get("playbook"),
    )


def _limited(limit: Limit, values: Mapping[str, Any]) -> list[Rule]:
    sign = "<" if limit.below else ">="
    return [
        _rule(
            limit.name,
            f"{limit.expression} {sign} {values[severity]:g}",
            seconds=limit.minutes * 60,
            severity=severity,
            summary=limit.summary,
        )
        for severity in ("warning", "critical")
        if values.get(severity) is not None
    ]


def _monitored(interval: int) -> list[Rule]:
    states = (
        ("RunbookCheckCritical", 3, "critical"),
        ("RunbookCheckWarning", 2, "warning"),
        ("RunbookCheckUnknown", 1, "warning"),
    )
    last = "runbook_monitor_last_run_timestamp_seconds"
    return [
        *(
            _rule(
                name,
                f"runbook_check_status == {number} {ROOTS}",
                seconds=interval + 60,  # longer than one look: the same patience as the monitor's own
                severity=severity,
                summary="{{ $labels.name }} of {{ $labels.instance }} is " + name[len("RunbookCheck") :].lower(),
                playbook="health_check",
            )
            for name, number, severity in states
        ),
        _rule(
            "RunbookMonitorStale",
            f"time() - {last} > {3 * interval}",
            seconds=60,
            severity="critical",
            summary=f"{WHERE} has not looked at itself for " + "{{ $value | humanizeDuration }}",
            playbook="install_monitoring",
        ),
        _rule(
            "RunbookMonitorAbsent",
            f"absent({last})",
            seconds=3 * interval,
            severity="critical",
            summary="No host tells Prometheus that it looks at itself",
            playbook="install_monitoring",
        ),
        _rule(
            "RunbookMessagesWait",
            "runbook_monitor_waiting_messages > 0",
            seconds=1800,
            severity="warning",
            summary=f"{WHERE} cannot deliver " + "{{ $value }} messages",
            playbook="install_monitoring",
        ),
    ]


def _rule(
    name: str, expression: str, *, seconds: float, severity: str, summary: str, playbook: str | None = None
) -> Rule:
    return {
        "alert": name,
        "expr": expression,
        "for": f"{int(seconds)}s",
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "runbook": playbook or "diagnose"},
    }


def merge_route(config: Mapping[str, Any], system: System, *, present: bool = True) -> dict[str, Any]:
    """Return Alertmanager's configuration with our route, receivers and inhibition in it, or without them.

    Nothing else of it is touched. Our route comes first, so that no other one takes our alerts.
    """
    name, alerts = system["system"]["name"], system.get("alerts") or {}
    ours, quiet, mine = f"runbook-ops-{name}", f"runbook-ops-{name}-quiet", f'system="{name}"'
    merged = dict(config)
    receivers = [one for one in config.get("receivers") or [] if one["name"] not in (ours, quiet)]
    root = dict(config.get("route") or {})
    routes = [one for one in root.get("routes") or [] if one.get("receiver") != ours]
    inhibit = [one for one in config.get("inhibit_rules") or [] if mine not in (one.get("source_matchers") or [])]
    told = _receiver(alerts)
    if present and told:
        remind = int(alerts.get("remind_seconds") or 14400)
        routes.insert(0, _route(ours, quiet, mine, remind))
        receivers += [{"name": ours, **told}, {"name": quiet}]
        inhibit.append(
            {
                "source_matchers": [mine, 'severity="critical"'],
                "target_matchers": [mine, 'severity=~"warning|info"'],
                "equal": ["alertname", "instance", "id", "mountpoint"],
            }
        )
        root.setdefault("receiver", ours)
    root.pop("routes", None)
    if routes:
        root["routes"] = routes
    for key, whole in (("route", root), ("receivers", receivers), ("inhibit_rules", inhibit)):
        if whole or (key in config and not config[key]):
            merged[key] = whole
        else:
            merged.pop(key, None)
    return merged


def _route(ours: str, quiet: str, mine: str, remind: int) -> dict[str, Any]:
    return {
        "receiver": ours,
        "matchers": [mine],
        "group_by": ["alertname", "instance"],
        "group_wait": "1m",
        "group_interval": "5m",
        "repeat_interval": "12h",
        "routes": [
            {
                "receiver": ours,
                "matchers": ['severity="critical"'],
                "group_wait": "10s",
                "repeat_interval": f"{remind or 86400}s",
            },
            {"receiver": quiet, "matchers": ['severity="info"']},
        ],
    }


def _receiver(alerts: Mapping[str, Any]) -> dict[str, Any]:
    """Return who is told; nothing where nobody is."""
    told: dict[str, Any] = {}
    if alerts.get("email"):
        smtp = alerts.get("smtp") or {"host": "localhost", "port": 25, "tls": "none"}
        told["email_configs"] = [
            {
                "to": alerts["email"],
                "from": alerts.get("from") or "alertmanager@localhost",
                "smarthost": f"{smtp['host']}:{smtp['port']}",
                "require_tls": smtp.get("tls") == "starttls",
                "send_resolved": True,
                **(
                    {"auth_username": smtp["user"], "auth_password": smtp.get("password") or ""}
                    if smtp.get("user")
                    else {}
                ),
            }
        ]
    if alerts.get("webhook"):
        slack = alerts.get("webhook_format") == "slack"
        told["slack_configs" if slack else "webhook_configs"] = [
            {"api_url" if slack else "url": alerts["webhook"], "send_resolved": True}
        ]
    return told
