# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of dashboards come, change and go; those of others stay."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._dashboard_files import DashboardError
from ansible_collections.runbook.ops.plugins.module_utils._grafana import make_dashboards
from ansible_collections.runbook.ops.plugins.modules import grafana_dashboards

PANEL = {"name": "Requests", "expression": "requests_total", "unit": "reqps", "exporter": "the API"}
MADE = make_dashboards(
    {"system": {"name": "shop"}, "dashboards": [{"name": "Sales", "panels": [PANEL]}]}, metrics=False, recorded=False
)
BOTH = ["runbook_ops_shop.infrastructure.json", "runbook_ops_shop.sales.json"]


def run(folder, *, check_mode=False, **options):
    given = {
        **{"directory": str(folder), "system": "shop", "dashboards": MADE, "state": "present"},
        **{"prometheus_url": None, "timeout_seconds": 5.0, "records": {}, **options},
    }
    return grafana_dashboards.run(given, check_mode=check_mode)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_dashboards_are_written_once_and_readable_by_grafana(tmp_path):
    assert run(tmp_path, check_mode=True)["changed"]
    assert names(tmp_path) == []
    first = run(tmp_path)
    assert (first["changed"], sorted(first["dashboards"]), names(tmp_path)) == (True, BOTH, BOTH)
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o644, 0o644]
    second = run(tmp_path)
    assert (second["changed"], second["actions"], second["diff"]) == (False, [], [])


def test_what_is_no_longer_declared_goes_and_what_others_wrote_stays(tmp_path):
    run(tmp_path)
    other = json.dumps({**MADE["runbook_ops_shop.sales.json"], "tags": ["runbook.ops:other"]})
    strange = {"runbook_ops_shop.own.json": other, "runbook_ops_shop_2.sales.json": other, "mine.json": "{"}
    for name, text in strange.items():
        (tmp_path / name).write_text(text)
    only = {name: one for name, one in MADE.items() if "infrastructure" in name}
    told = run(tmp_path, dashboards=only)
    assert told["actions"] == ["remove runbook_ops_shop.sales.json"]
    assert [change["action"] for change in told["changes"]] == ["remove"]
    assert names(tmp_path) == sorted([*strange, *only])
    assert run(tmp_path, state="absent")["changed"]
    assert names(tmp_path) == sorted(strange)


def test_a_dashboard_that_somebody_changed_is_put_right(tmp_path):
    run(tmp_path)
    path = tmp_path / BOTH[0]
    path.write_text(path.read_text().replace("Processors busy", "Mine"))
    told = run(tmp_path, check_mode=True)
    assert "Mine" in told["diff"][0]["before"] and "Mine" not in told["diff"][0]["after"]
    run(tmp_path)
    assert "Mine" not in path.read_text()


def test_a_file_of_that_name_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / BOTH[1]).write_text("{}")
    with pytest.raises(DashboardError, match="is there and not ours"):
        run(tmp_path)
    assert names(tmp_path) == [BOTH[1]]


def test_a_directory_that_is_missing_is_said(tmp_path):
    with pytest.raises(DashboardError, match="is no directory: install Grafana"):
        run(tmp_path / "no")
    assert not run(tmp_path / "no", state="absent")["changed"]


def test_an_expression_that_prometheus_refuses_keeps_all_from_being_written(tmp_path, monkeypatch):
    def answer(_self, target):
        refused = "requests_total" in target
        return {"status": "error", "error": "parse error"} if refused else {"status": "success", "data": []}

    monkeypatch.setattr(grafana_dashboards.Prometheus, "ask", answer)
    with pytest.raises(DashboardError, match=r"sales\.json, Requests: requests_total: parse error"):
        run(tmp_path, prometheus_url="http://localhost:9090")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("kind", "correct"),
    [("bad_data", True), ("execution", True), ("timeout", False), ("unavailable", False), ("internal", False)],
)
def test_an_expression_is_to_be_corrected_only_where_it_is_wrong(tmp_path, monkeypatch, kind, correct):
    told = {"status": "error", "errorType": kind, "error": "query timed out in expression evaluation"}
    monkeypatch.setattr(grafana_dashboards.Prometheus, "ask", lambda *_any: told)
    with pytest.raises(DashboardError, match="query timed out") as raised:
        run(tmp_path, prometheus_url="http://localhost:9090")
    assert ("correct ops_dashboards" in str(raised.value)) is correct
    assert ("run again" in str(raised.value)) is not correct
    assert names(tmp_path) == []


def test_a_prometheus_that_does_not_answer_keeps_all_from_being_written(tmp_path):
    with pytest.raises(DashboardError, match="does not answer"):
        run(tmp_path, prometheus_url="http://127.0.0.1:1")
    assert names(tmp_path) == []


@pytest.mark.parametrize("first", [True, False], ids=["nothing was there", "old ones were there"])
def test_where_one_cannot_be_written_none_is(tmp_path, first):
    if not first:
        old = {name: {**one, "title": "as it was"} for name, one in MADE.items()}
        run(tmp_path, dashboards={**old, "runbook_ops_shop.gone.json": {**old[BOTH[0]], "uid": "gone"}})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / f".{list(MADE)[-1]}.partial").mkdir()  # nothing can be written there, as on a full disk
    with pytest.raises(IsADirectoryError):
        run(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
