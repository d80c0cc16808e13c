# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules do what they say, by promtool and in a running Prometheus; Alertmanager sends them the right way."""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from testinfra.host import Host

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[2] / "plugins" / "module_utils" / "_alert_rules.py"
SYSTEM = {
    "system": {"name": "shop"},
    "thresholds": {
        "disk_percent": {"warning": 80, "critical": 90},
        "inodes_percent": {"warning": 80, "critical": 90},
        "memory_percent": {"warning": 90, "critical": 95},
        "cpu_percent": {"warning": 80, "critical": 95},
        "load_per_cpu": {"warning": 2, "critical": 4},
        "response_seconds": {"warning": 5},
        "certificate_days": {"warning": 30, "critical": 7},
    },
}


def rules_of(system: dict[str, Any]) -> str:
    spec = importlib.util.spec_from_file_location("alert_rules", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["alert_rules"] = module
    spec.loader.exec_module(module)
    return yaml.safe_dump(module.make_rules(system, metrics=True, interval_seconds=300))


def put(host: Host, path: str, text: str) -> None:
    assert host.run("echo %s | base64 -d >%s", base64.b64encode(text.encode()).decode(), path).rc == 0


def test_promtool_plays_every_rule_as_expected(host: Host) -> None:
    folder = host.check_output("mktemp -d")
    put(host, f"{folder}/rules.yml", rules_of(SYSTEM))
    put(host, f"{folder}/rules_test.yml", (HERE / "rules_test.yml").read_text(encoding="utf-8"))
    try:
        done = host.run("cd %s && promtool check rules rules.yml && promtool test rules rules_test.yml", folder)
        assert done.rc == 0, done.stdout + done.stderr
    finally:
        host.run("rm -r %s", folder)


def test_prometheus_evaluates_all_of_them(host: Host) -> None:
    asked = "curl -fs 'localhost:9090/api/v1/rules?type=alert'"
    # A rule that was just loaded is unknown until it is evaluated.
    host.run("timeout 90 sh -c %s", f'while {asked} | grep -q \'"health":"unknown"\'; do sleep 0.5; done')
    told = json.loads(host.check_output(asked))
    ours = [group for group in told["data"]["groups"] if group["file"].endswith("runbook_ops_plugspace.yml")]
    rules = {rule["name"]: rule for group in ours for rule in group["rules"]}
    five = {"HighCPUUsage", "HighMemoryUsage", "HighResponseTime", "SSLCertificateExpiringSoon", "LowDiskSpace"}
    assert five <= rules.keys()
    assert {rule["health"] for rule in rules.values()} == {"ok"}
    assert all(rule["annotations"]["runbook"] for rule in rules.values())


def test_the_metrics_of_the_monitor_reach_prometheus(host: Host) -> None:
    script = "timeout 60 sh -c 'until curl -fs \"localhost:9090/api/v1/query?query=runbook_check_status\" | grep -q disk; do sleep 1; done'"
    assert host.run(script).rc == 0


def test_alertmanager_sends_our_alerts_our_way_and_others_theirs(host: Host) -> None:
    ask = "amtool config routes test --config.file=/etc/prometheus/alertmanager.yml "
    ways = {
        "system=plugspace severity=critical": "runbook-ops-plugspace",
        "system=plugspace severity=warning": "runbook-ops-plugspace",
        "system=plugspace severity=info": "runbook-ops-plugspace-quiet",
        "alertname=Other severity=critical": "relay",
    }
    assert {labels: host.check_output(ask + labels) for labels in ways} == ways


def test_one_alert_is_silenced_once_for_two_hours_by_somebody(host: Host) -> None:
    told = json.loads(host.check_output("curl -fs localhost:9093/api/v2/silences"))
    (silence,) = [found for found in told if found["status"]["state"] == "active"]
    matchers = {(item["name"], item["value"], item["isRegex"], item["isEqual"]) for item in silence["matchers"]}
    assert matchers == {("alertname", "HighCPUUsage", False, True), ("severity", "warning", False, True)}
    assert (silence["createdBy"], silence["comment"]) == ("maria", "Investigating high CPU")
    begins, ends = (datetime.fromisoformat(silence[key].replace("Z", "+00:00")) for key in ("startsAt", "endsAt"))
    assert 7190 <= (ends - begins).total_seconds() <= 7210
