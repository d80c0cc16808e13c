# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run found, as the textfile collector reads it."""

from __future__ import annotations

from ansible_collections.runbook.ops.plugins.module_utils._run_metrics import MOST, file_of, run_metrics


def check(identity="query:new users", value=7, **more):
    return {"id": identity, "value": value, "unit": "users", "status": "ok", **more}


def series(checks):
    text = run_metrics(checks, system="shop", playbook="user_metrics", at=1.5)
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_a_number_becomes_a_series_with_its_status():
    run = 'system="shop",playbook="user_metrics"'
    assert series([check(status="warning")]) == [
        f'runbook_run_value{{{run},id="query:new users",unit="users"}} 7.0',
        f'runbook_run_status{{{run},id="query:new users"}} 2',
        f"runbook_run_checks_left_out{{{run}}} 0",
        f"runbook_run_timestamp_seconds{{{run}}} 1.5",
    ]


def test_what_is_no_number_is_left_out_and_one_id_stands_once():
    others = [check(value=value) for value in ("word", None, True, 10**400, float("inf"), float("nan"))]
    told = series([*others, check("a", 1), check("a", 2)])
    assert [line for line in told if "_value" in line] == [
        'runbook_run_value{system="shop",playbook="user_metrics",id="a",unit="users"} 2.0'
    ]


def test_quotes_and_line_breaks_stay_within_their_label():
    assert 'id="a\\\\\\"b\\nc"' in series([check('a\\"b\nc')])[0]


def test_a_run_with_very_many_checks_tells_of_the_first():
    told = series([check(str(number)) for number in range(MOST + 10)])
    assert len(told) == 2 * MOST + 2
    assert told[-2].startswith("runbook_run_checks_left_out")
    assert told[-2].endswith(" 10")


def test_several_playbooks_of_a_run_are_one_name():
    assert file_of("my-shop", "backup+rotate_backups") == "runbook_ops_run_my-shop.backup_rotate_backups.prom"
    assert file_of("a_b", "c") != file_of("a", "b_c")
