# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboards are what Grafana's documentation says a dashboard is, and draw what is there."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._dashboard_files import asked, judge, problem_of
from ansible_collections.runbook.ops.plugins.module_utils._figures import make_records
from ansible_collections.runbook.ops.plugins.module_utils._grafana import as_file, make_dashboards, uid_of
from ansible_collections.runbook.ops.plugins.module_utils._promql import metric_names

from ._inventories import describe

SYSTEMS = ("lifeplatform", "mediasearch", "newsletter", "owlivion", "plugspace")
OURS = ("runbook_check_value", "runbook_check_status", "runbook_run_value")


def dashboards(system, **options):
    return make_dashboards(describe(system).system, **{"metrics": True, "recorded": False, **options})


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_has_dashboards_that_grafana_takes(system):
    found = dashboards(system)
    assert {f"runbook_ops_{system}.{name}.json" for name in ("application-overview", "infrastructure")} <= set(found)
    for dashboard in found.values():
        assert problem_of(dashboard) is None
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", dashboard["uid"])
        assert json.loads(as_file(dashboard)) == dashboard
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
        assert len(set(places)) == len(places)
        assert all(panel["description"].startswith("From ") for panel in dashboard["panels"])
    assert len({dashboard["uid"] for dashboard in found.values()}) == len(found)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_metric_is_one_that_an_exporter_is_named_for(system):
    records = {rule["record"] for group in make_records(describe(system).system, metrics=True)["groups"] for rule in group["rules"]}  # fmt: skip
    for dashboard in [*dashboards(system).values(), *dashboards(system, recorded=True).values()]:
        for _panel, source, expression in asked(dashboard):
            names = metric_names(expression)
            assert names, expression
            if source == "From node_exporter.":
                assert all(name.startswith("node_") or name in records for name in names)
            elif source in ("From the monitor on the host.", "From the runs of the playbooks."):
                assert all(name in OURS or name in records for name in names)
            else:  # the system's own exporter, which the description names
                assert not any(name.startswith(("node_", "runbook_")) for name in names)


def test_the_key_dashboards_of_the_newsletter_are_there_panel_by_panel():
    found = {name: [panel["title"] for panel in one["panels"]] for name, one in dashboards("newsletter").items()}
    overview, host, business = (
        found[f"runbook_ops_newsletter.{name}.json"]
        for name in ("application-overview", "infrastructure", "business-metrics")
    )
    assert {"Request rate", "Response time", "Error rate", "Active users", "Jobs in queues"} <= set(overview)
    assert {"Processors busy", "Memory in use", "Disk space in use", "Network"} <= set(host)
    assert any("databases" in title for title in host)
    assert {"New campaigns", "Open rate", "Click rate", "New users", "Revenue"} <= set(business)


def test_recorded_series_are_read_where_there_are_rules_for_them():
    (plain,) = make_dashboards({"system": {"name": "shop"}}, metrics=False, recorded=False).values()
    (kept,) = make_dashboards({"system": {"name": "shop"}}, metrics=False, recorded=True).values()
    assert plain["panels"][1]["targets"][0]["expr"].startswith("100 * (1 - node_memory_MemAvailable_bytes{instance=~")
    assert kept["panels"][1]["targets"][0]["expr"] == (
        'instance:runbook_memory_used:percent{system="shop",instance=~"$instance"}'
    )


def test_limits_are_drawn_from_the_bottom_up():
    system = describe("plugspace").system
    system = {**system, "thresholds": {"cpu_percent": {"warning": 80, "critical": 95}, "certificate_days": {"warning": 30, "critical": 7}}}  # fmt: skip
    panels = {panel["title"]: panel for one in make_dashboards(system, metrics=True, recorded=False).values() for panel in one["panels"]}  # fmt: skip

    def steps(title):
        return [(step["color"], step["value"]) for step in panels[title]["fieldConfig"]["defaults"]["thresholds"]["steps"]]  # fmt: skip

    assert steps("Processors busy") == [("green", None), ("orange", 80), ("red", 95)]
    assert steps("Days left of certificates") == [("red", None), ("orange", 7), ("green", 30)]
    assert steps("Network") == [("green", None)]


def test_a_long_name_gives_a_uid_that_is_short_enough_and_its_own():
    names = ["a very long name of a dashboard, the first", "a very long name of a dashboard, the second"]
    uids = [uid_of("shop", name) for name in names]
    assert [len(uid) for uid in uids] == [40, 40]
    assert len(set(uids)) == 2


def test_a_metric_that_prometheus_does_not_have_is_named_with_who_should_give_it():
    panel = {"name": "Requests", "expression": "rate(requests_total[5m])", "unit": "reqps", "exporter": "the API"}
    system = {"system": {"name": "shop"}, "dashboards": [{"name": "Sales", "panels": [panel]}]}
    made = make_dashboards(system, metrics=False, recorded=False)
    known = {name for one in made.values() for _panel, _source, text in asked(one) for name in metric_names(text)}
    checks = {check["id"]: check for check in judge(made, known - {"requests_total"}, "shop", {})}
    assert checks["dashboard:shop:sales"]["status"] == "warning"
    assert "requests_total (from the api)" in checks["dashboard:shop:sales"]["detail"]
    assert checks["dashboard:shop:infrastructure"]["status"] == "ok"


def test_of_a_series_that_is_recorded_what_the_rule_reads_has_to_be_there():
    system = {"system": {"name": "shop"}}
    (group,) = make_records(system, metrics=False)["groups"]
    records = {rule["record"]: rule["expr"] for rule in group["rules"]}
    made = make_dashboards(system, metrics=False, recorded=True)
    read = {name for text in records.values() for name in metric_names(text)}
    assert [check["status"] for check in judge(made, read, "shop", records)] == ["ok"]
    (check,) = judge(made, read - {"node_load5"}, "shop", records)
    assert (check["status"], "node_load5 (from node_exporter)" in check["detail"]) == ("warning", True)
