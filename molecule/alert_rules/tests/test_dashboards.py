# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the dashboards draw is there: a running Prometheus takes every expression, and has series for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host

FOLDER = "/var/lib/grafana/dashboards"
RULES = "/etc/prometheus/rules/runbook_ops_plugspace.records.yml"
# Asks all in one go, on the host: each expression as Grafana asks it for all hosts, once two scrapes and what is recorded of them are there.
SCRIPT = """
import glob, json, time, urllib.error, urllib.parse, urllib.request
def ask(expression):
    try:
        url = "http://localhost:9090/api/v1/query?query=" + urllib.parse.quote(expression)
        return json.load(urllib.request.urlopen(url, timeout=20))
    except urllib.error.HTTPError as refused:
        return json.load(refused)
wanted = ["runbook_check_status", 'rate(http_requests_total{status="200"}[5m])', "instance_id:runbook_available:percent30d",
          "instance:runbook_cpu_busy:percent5m", "instance:runbook_disk_read:bytes_per_second5m"]
deadline = time.monotonic() + 90
while wanted and time.monotonic() < deadline:
    try:
        urllib.request.urlopen("http://localhost:4000/api/health", timeout=5).read()
    except OSError:
        pass
    wanted = [one for one in wanted if not ask(one)["data"]["result"]]
    time.sleep(0.5)
found = []
for path in sorted(glob.glob("%s/runbook_ops_plugspace.*.json")):
    for panel in json.load(open(path))["panels"]:
        for target in panel["targets"]:
            found.append([panel["title"], target["expr"], ask(target["expr"].replace("$instance", ".*"))])
print(json.dumps({"lacking": wanted, "drawn": found}))
"""


@pytest.fixture(scope="module")
def told(host: Host) -> Any:
    return json.loads(host.check_output("python3 -c %s", SCRIPT % FOLDER))


def test_promtool_takes_the_rules_and_prometheus_evaluates_them(host: Host, told: Any) -> None:
    assert told["lacking"] == []
    assert "SUCCESS" in host.check_output("promtool check rules %s", RULES)
    groups = json.loads(host.check_output("curl -fs 'localhost:9090/api/v1/rules?type=record'"))["data"]["groups"]
    (group,) = [one for one in groups if one["file"] == RULES]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}


def test_prometheus_takes_every_expression_and_every_panel_draws_something(told: Any) -> None:
    refused = [(title, expression, answer["error"]) for title, expression, answer in told["drawn"] if answer["status"] != "success"]  # fmt: skip
    assert refused == []
    assert len(told["drawn"]) > 15
    empty = {title for title, _expression, answer in told["drawn"] if not answer["data"]["result"]}
    # All is well on this host, or not: both are right.
    assert [title for title in empty if not title.startswith("What is not well")] == []


def test_a_month_of_availability_is_a_percentage(told: Any) -> None:
    (series,) = [
        answer["data"]["result"] for title, _text, answer in told["drawn"] if title == "Available over 30 days"
    ]
    assert all(0 <= float(one["value"][1]) <= 100 for one in series)
