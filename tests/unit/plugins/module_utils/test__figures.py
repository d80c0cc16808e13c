# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn of a system, and the series that are recorded for it."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._figures import figures_of, make_records, render

PANEL = {"name": "Requests", "expression": "rate(requests_total[5m] @ 0)", "unit": "reqps", "exporter": "the API"}
SYSTEM = {
    "system": {"name": "shop"},
    "databases": [{"name": "shop"}],
    "queues": [],
    "schedule": [{"playbook": "user_metrics"}],
    "queries": [
        {"name": "new users (all)", "playbook": "user_metrics", "unit": "users"},
        {"name": "by hand", "playbook": None},
        {"name": "not in the calendar", "playbook": "cost_review"},
    ],
}


def drawn(system=SYSTEM, **options):
    found = figures_of(system, **{"metrics": True, **options})
    return {title: [figure.name for figure in figures] for title, figures in found.items()}


def test_without_metrics_of_the_hosts_only_node_exporter_is_drawn():
    (figures,) = figures_of(SYSTEM, metrics=False).values()
    assert {figure.source for figure in figures} == {"node_exporter"}


def test_databases_and_queues_are_drawn_where_there_are_any():
    assert any("databases" in name for name in drawn()["Infrastructure"])
    assert not any("databases" in name for name in drawn({**SYSTEM, "databases": []})["Infrastructure"])
    assert "Jobs in queues" not in drawn()["Application overview"]
    assert "Jobs in queues" in drawn({**SYSTEM, "queues": [{"name": "mail"}]})["Application overview"]


def test_a_query_is_drawn_as_the_playbook_of_the_calendar_found_it():
    (figure,) = figures_of(SYSTEM, metrics=True)["Business metrics"]
    assert figure.name == "New users (all)"
    (line,) = figure.lines
    assert render(line.expression, "") == (
        'runbook_run_value{system="shop",playbook="user_metrics",id=~"query:new users \\\\(all\\\\)(:.+)?"}'
    )


def test_panels_of_the_description_come_first_in_a_dashboard_of_that_name_or_make_one():
    declared = [{"name": "application OVERVIEW", "panels": [PANEL]}, {"name": "Sales", "panels": [PANEL]}]
    found = drawn({**SYSTEM, "dashboards": declared})
    assert found["Application overview"][:2] == ["Requests", "Response time"]
    assert found["Sales"] == ["Requests"]


def test_two_dashboards_of_one_name_are_refused():
    with pytest.raises(ValueError, match="'sales!' cannot be told from another one"):
        figures_of(
            {**SYSTEM, "dashboards": [{"name": "Sales", "panels": [PANEL]}, {"name": "sales!", "panels": [PANEL]}]},
            metrics=True,
        )


@pytest.mark.parametrize(
    ("expression", "chosen", "expected"),
    [
        pytest.param("load{@}", "", "load", id="nothing else is chosen"),
        pytest.param('load{@,a="b"}', "", 'load{a="b"}', id="something else is chosen"),
        pytest.param('load{a="b",@}', 'i="x"', 'load{a="b",i="x"}', id="at the end"),
        pytest.param("load @@ 5", 'i="x"', "load @ 5", id="the modifier of PromQL"),
    ],
)
def test_hosts_are_chosen_where_the_expression_says(expression, chosen, expected):
    assert render(expression, chosen) == expected


def test_a_record_is_about_all_hosts_and_says_whose_it_is():
    (group,) = make_records(SYSTEM, metrics=True)["groups"]
    assert all(rule["labels"] == {"system": "shop"} and "@" not in rule["expr"] for rule in group["rules"])
    assert all("$instance" not in rule["expr"] for rule in group["rules"])
    names = [rule["record"] for rule in group["rules"]]
    assert len(names) == len(set(names)) == 10
