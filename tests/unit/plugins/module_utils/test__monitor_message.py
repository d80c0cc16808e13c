# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an alert says, in each form."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._monitor_message import (
    as_json,
    as_slack,
    make_message,
    metrics,
    subject,
    text,
)

NOW = 1_795_000_000.0


def event(kind="alert", name="Disk /", status="critical", **other):
    check = make_check(
        f"disk:{name}", name=name, section="Host", status=status, value=97.1, unit="%", limit=90, detail="1 GB free"
    )
    return {**check, "remedy": "make room", "kind": kind, "was": "critical", "since": NOW, "follows": [], **other}


def message(*events):
    return make_message(events or [event()], system="shop", host="shop-1", number=7, now=NOW)


@pytest.mark.parametrize(
    ("events", "line"),
    [
        pytest.param([event()], "[shop] shop-1: critical: Disk /", id="an alert"),
        pytest.param([event(), event()], "[shop] shop-1: critical: Disk / and 1 more", id="several"),
        pytest.param([event("reminder")], "[shop] shop-1: still critical: Disk /", id="a reminder"),
        pytest.param([event("clear", status="ok")], "[shop] shop-1: all clear: Disk /", id="an all-clear"),
        pytest.param([event(name="Disk\n/\r\nBcc: x")], "[shop] shop-1: critical: Disk / Bcc: x", id="line breaks"),
    ],
)
def test_the_subject_says_where_how_bad_and_what(events, line):
    assert subject(message(*events)) == line


def test_the_text_says_value_limit_consequences_and_what_to_do():
    told = text(message(event(follows=["API (critical)"])))
    for words in (
        "CRITICAL  Disk /: 1 GB free",
        "97.1 %, the limit is 90 %",
        "API (critical)",
        "make room",
        "--limit shop-1",
    ):
        assert words in told


def test_a_flood_is_cut_and_says_so():
    told = message(*[event(name=f"thing {number}") for number in range(1000)])
    assert "And 960 more." in text(told)
    assert as_json(told)["events_left_out"] == 800


def test_the_id_is_that_of_what_is_told():
    assert message()["id"] == message()["id"]
    assert message()["id"] != message(event("reminder"))["id"]


def test_slack_sees_no_markup_of_ours():
    assert "&lt;!channel&gt;" in as_slack(message(event(name="<!channel>")))["text"]


def test_all_forms_are_json():
    assert json.loads(json.dumps([as_json(message()), as_slack(message())]))[0]["status"] == "critical"


def test_metrics_are_escaped_and_leave_out_what_is_no_number():
    checks = [
        {**make_check('log:a"b\\c\n', name="n", section="Logs", status="warning", value=3), "because": "pg"},
        make_check("reboot", name="r", section="Updates", status="ok", value="none"),
        make_check("flag", name="f", section="Updates", status="ok", value=True),
    ]
    told = metrics(checks, {"runbook_monitor_last_run_timestamp_seconds": NOW})
    assert 'runbook_check_status{id="log:a\\"b\\\\c\\n",name="n",section="Logs"} 2\n' in told
    assert told.count("runbook_check_value{") == 1
    assert 'because="pg"} 1\n' in told
    assert "runbook_monitor_last_run_timestamp_seconds 1795000000.0\n" in told
