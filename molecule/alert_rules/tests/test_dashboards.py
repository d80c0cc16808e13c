# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the dashboards draw is there: a running Prometheus takes every expression, and has every metric of it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from testinfra.host import Host

FOLDER = "/var/lib/grafana/dashboards"
RULES = "/etc/prometheus/rules/runbook_ops_plugspace.records.yml"
# A host without disks of its own, a queue or PostgreSQL has no such series; the metric itself is there.
EMPTY = ("What is not well", "Memory of services")


def ask(host: Host, path: str, query: str) -> Any:
    told = host.run("curl -s --get --data-urlencode query=%s localhost:9090/api/v1/%s", query, path)
    return json.loads(told.stdout)


def panels(host: Host) -> list[tuple[str, str]]:
    """Return title and expression of all that is drawn, as Grafana asks it for all hosts."""
    found = []
    for name in ("application-overview", "infrastructure"):
        dashboard = json.loads(host.file(f"{FOLDER}/runbook_ops_plugspace.{name}.json").content_string)
        for panel in dashboard["panels"]:
            found += [(panel["title"], target["expr"].replace("$instance", ".*")) for target in panel["targets"]]
    return found


def test_promtool_takes_the_rules_and_prometheus_evaluates_them(host: Host) -> None:
    assert "SUCCESS" in host.check_output("promtool check rules %s", RULES)
    told = json.loads(host.check_output("curl -fs 'localhost:9090/api/v1/rules?type=record'"))
    (group,) = [one for one in told["data"]["groups"] if one["file"] == RULES]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}


@pytest.mark.usefixtures("measured")
def test_every_panel_draws_something(host: Host) -> None:
    drawn = panels(host)
    assert len(drawn) > 15
    empty = []
    for title, expression in drawn:
        told = ask(host, "query", expression)
        assert told["status"] == "success", (title, told)
        if not told["data"]["result"]:
            empty.append(title)
    assert [title for title in empty if not title.startswith(EMPTY)] == []


@pytest.fixture
def measured(host: Host) -> None:
    """Wait until a request was counted twice, a look of the monitor was read, and what is recorded of both is there."""
    deadline = time.monotonic() + 120
    wanted = [
        'rate(http_requests_total{status="200"}[5m])',
        "instance_id:runbook_available:percent30d",
        "instance:runbook_cpu_busy:percent5m",
        "instance:runbook_disk_read:bytes_per_second5m",
    ]
    while wanted and time.monotonic() < deadline:
        host.run("curl -fs localhost:4000/api/health")
        wanted = [query for query in wanted if not ask(host, "query", query)["data"]["result"]]
        time.sleep(1)
    assert wanted == []


def test_a_month_of_availability_is_a_percentage(host: Host) -> None:
    found = ask(host, "query", 'instance_id:runbook_available:percent30d{system="plugspace"}')["data"]["result"]
    assert found
    assert all(0 <= float(series["value"][1]) <= 100 for series in found)
