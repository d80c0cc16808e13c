# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result names each service with what it needs, and checks those that run."""

from __future__ import annotations

from types import SimpleNamespace

from ansible_collections.runbook.ops.plugins.module_utils._restart import Findings
from ansible_collections.runbook.ops.plugins.modules import restart_info

SERVICES = [{"name": "db", "manager": "systemd"}, {"name": "web", "manager": "systemd", "after": ["db"]}]


def run(found, **params):
    given = {"services": SERVICES, "baseline": {}, "growth_percent": None, "every_service": False, "busy_programs": []}
    look = SimpleNamespace(params={**given, **params}, processes={}, sessions=[], versions={})
    return restart_info.run(look, now=500.0, find=lambda service, _look: found[service["name"]])


def test_each_service_is_named_and_those_that_run_are_checked():
    result = run({"db": Findings(running=True, unit_changed=True), "web": Findings(running=False)})
    assert [(one["name"], one["action"]) for one in result["services"]] == [("db", "restart"), ("web", "none")]
    assert [one["id"] for one in result["checks"]] == ["restart:db"]
    assert result["changed"] is False


def test_who_needs_a_service_stands_beside_it():
    result = run({"db": Findings(running=True), "web": Findings(running=True)})
    assert [one["needed_by"] for one in result["services"]] == [["web"], []]


def test_every_service_that_runs_is_due_when_all_are_asked_for():
    result = run({"db": Findings(running=True), "web": Findings(running=False)}, every_service=True)
    assert [one["action"] for one in result["services"]] == ["restart", "none"]


def test_a_service_that_could_not_be_looked_at_is_checked_too():
    result = run({"db": Findings(running=False, problem="PM2 is not installed"), "web": Findings(running=False)})
    assert [(one["id"], one["status"]) for one in result["checks"]] == [("restart:db", "unknown")]


def test_growth_is_judged_by_name():
    found = {"db": Findings(running=True, memory_bytes=300), "web": Findings(running=True, memory_bytes=300)}
    result = run(found, baseline={"db": 100}, growth_percent=100.0)
    assert [one["action"] for one in result["services"]] == ["restart", "none"]
