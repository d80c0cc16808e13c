# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules and a route that follow from a description."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._alert_rules import make_rules, merge_route

OWN = {
    **{"name": "LowDiskSpace", "expression": "up < 1", "for_seconds": 60, "severity": "critical"},
    **{"summary": "ours", "playbook": "make_room"},
}
SYSTEM = {
    "system": {"name": "shop"},
    "thresholds": {
        "disk_percent": {"warning": 80, "critical": 90},
        "memory_percent": {"warning": 90, "critical": None},
        "certificate_days": {"warning": 30, "critical": 7},
        "cpu_percent": None,
    },
    "alerts": {
        **{"email": "ops@shop.example", "webhook": "https://hook/s3cret", "webhook_format": "slack", "rules": []},
        **{"smtp": {"host": "mail", "port": 587, "tls": "starttls", "user": "me", "password": "s3cret"}},
        "remind_seconds": 7200,
    },
}


def rules(system=SYSTEM, **options):
    groups = make_rules(system, **{"metrics": True, "interval_seconds": 300, **options})["groups"]
    return [rule for group in groups for rule in group["rules"]]


def named(name, **options):
    return {rule["labels"]["severity"]: rule for rule in rules(**options) if rule["alert"] == name}


def test_each_limit_of_a_threshold_becomes_a_rule():
    assert [named("LowDiskSpace")[severity]["expr"].rsplit(" ", 2)[1:] for severity in ("warning", "critical")] == [
        [">=", "80"],
        [">=", "90"],
    ]


def test_a_limit_that_is_missing_becomes_none():
    assert list(named("HighMemoryUsage")) == ["warning"]
    assert named("HighCPUUsage") == named("HighLoad") == {}


def test_less_is_worse_for_the_days_of_a_certificate():
    assert named("SSLCertificateExpiringSoon")["critical"]["expr"].endswith("< 7")


def test_without_metrics_of_the_monitor_there_are_no_rules_about_them():
    assert not [rule for rule in rules(metrics=False) if "runbook_" in rule["expr"]]


def test_a_rule_of_the_description_takes_the_place_of_ours():
    system = {**SYSTEM, "alerts": {"rules": [OWN]}}
    found = named("LowDiskSpace", system=system)
    assert list(found) == ["critical"]
    assert found["critical"]["annotations"] == {"summary": "ours", "runbook": "make_room"}
    assert found["critical"]["for"] == "60s"


def test_every_rule_names_its_system_and_a_playbook():
    found = rules({**SYSTEM, "alerts": {"rules": [{**OWN, "name": "Other", "playbook": None}]}})
    assert {rule["labels"]["system"] for rule in found} == {"shop"}
    assert all(rule["annotations"]["runbook"] for rule in found)


def test_a_monitor_that_is_late_three_times_is_stale():
    assert "> 180" in named("RunbookMonitorStale", interval_seconds=60)["critical"]["expr"]


EXISTING = {
    "global": {"resolve_timeout": "5m"},
    "route": {"receiver": "relay", "routes": [{"receiver": "other", "matchers": ['team="x"']}]},
    "receivers": [{"name": "relay"}, {"name": "other"}],
    "inhibit_rules": [{"source_matchers": ["a=b"], "target_matchers": ["c=d"], "equal": ["e"]}],
}


def test_our_route_comes_first_and_all_else_stays():
    before = copy.deepcopy(EXISTING)
    merged = merge_route(EXISTING, SYSTEM)
    assert before == EXISTING
    assert [route["receiver"] for route in merged["route"]["routes"]] == ["runbook-ops-shop", "other"]
    assert merged["route"]["receiver"] == "relay"
    assert merged["route"]["routes"][0]["matchers"] == ['system="shop"']
    assert merged["receivers"][:2] == EXISTING["receivers"]
    assert merged["global"] == EXISTING["global"]


@pytest.mark.parametrize("config", [EXISTING, {}, {"route": {"receiver": "relay"}, "receivers": [{"name": "relay"}]}])
def test_a_second_time_there_is_nothing_to_do(config):
    once = merge_route(config, SYSTEM)
    assert merge_route(once, SYSTEM) == once


LEAST = {"route": {"receiver": "relay"}, "receivers": [{"name": "relay"}]}


@pytest.mark.parametrize("config", [EXISTING, LEAST])
def test_what_was_put_in_comes_out_again_without_a_trace(config):
    assert merge_route(merge_route(config, SYSTEM), SYSTEM, present=False) == config


def test_two_systems_share_one_alertmanager():
    other = {**SYSTEM, "system": {"name": "blog"}}
    both = merge_route(merge_route(EXISTING, SYSTEM), other)
    assert merge_route(both, other, present=False) == merge_route(EXISTING, SYSTEM)


def test_severity_decides_how_soon_and_how_often():
    critical, info = merge_route({}, SYSTEM)["route"]["routes"][0]["routes"]
    assert (critical["group_wait"], critical["repeat_interval"]) == ("10s", "7200s")
    assert info["receiver"] == "runbook-ops-shop-quiet"


def test_receivers_are_those_of_the_description():
    told = next(one for one in merge_route({}, SYSTEM)["receivers"] if one["name"] == "runbook-ops-shop")
    assert told["email_configs"][0]["smarthost"] == "mail:587"
    assert told["email_configs"][0]["require_tls"] is True
    assert told["slack_configs"] == [{"api_url": "https://hook/s3cret", "send_resolved": True}]
    plain = {**SYSTEM, "alerts": {"webhook": "https://hook"}}
    told = next(one for one in merge_route({}, plain)["receivers"] if one["name"] == "runbook-ops-shop")
    assert told == {"name": "runbook-ops-shop", "webhook_configs": [{"url": "https://hook", "send_resolved": True}]}


def test_where_nobody_is_told_there_is_no_route():
    assert merge_route(EXISTING, {**SYSTEM, "alerts": {}}) == EXISTING
