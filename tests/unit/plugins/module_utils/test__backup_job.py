# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from what in one run of a backup job, and what is told of it."""

from __future__ import annotations

import re
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._backup_job import failures, log_lines, run_tasks
from ansible_collections.runbook.ops.plugins.module_utils.probes import backup_log

AT = "2026-11-21T02:00:07Z"


def task(module, name="shop"):
    return {"job": "daily", "module": module, "name": name, "set": f"daily-{name}", "options": {}, "secrets": {}}


TASKS = [
    *(task("pg_backup", name) for name in ("shop", "mail")),
    *(
        task(module, name)
        for module in ("backup_verify", "backup_offsite", "backup_rotate")
        for name in ("shop", "mail")
    ),
]


def doing(**bad):
    """Return what does a task and keeps account; ``bad`` says which fail, and how often."""
    left, done = dict(bad), []

    def do(one):
        key = f"{one['module']}_{one['name']}"
        done.append(key)
        if left.get(key, 0):
            left[key] -= 1
            raise OSError("no  space\nleft")
        return {"changed": True, "backup": {"name": f"{one['set']}_20261121T020000Z", "size_bytes": 2048}, "deleted": 2}

    return do, done


def test_all_is_done_in_order():
    do, done = doing()
    outcomes = run_tasks(TASKS, do)
    assert done == [f"{one['module']}_{one['name']}" for one in TASKS]
    assert failures(outcomes) == []


@pytest.mark.parametrize(
    ("failing", "left_out"),
    [
        pytest.param(
            "pg_backup_shop", ["backup_verify_shop", "backup_offsite_shop", "backup_rotate_shop"], id="no backup"
        ),
        pytest.param("backup_verify_shop", ["backup_rotate_shop"], id="a damaged backup"),
        pytest.param("backup_offsite_shop", [], id="a store that is away"),
        pytest.param("backup_rotate_shop", [], id="a rotation that is refused"),
    ],
)
def test_what_failed_keeps_its_own_set_from_being_pruned_and_no_other(failing, left_out):
    do, done = doing(**{failing: 99})
    outcomes = run_tasks(TASKS, do)
    assert [f"{one.task['module']}_{one.task['name']}" for one in outcomes if one.skipped] == left_out
    assert {name for name in done if name.endswith("mail")} == {f"{m['module']}_mail" for m in TASKS}
    assert len(failures(outcomes)) == 1


def test_what_fails_is_tried_again_before_the_next_begins():
    do, done = doing(pg_backup_shop=2)
    waits = []
    outcomes = run_tasks(TASKS[:2], do, attempts=3, wait=lambda: waits.append(1))
    assert done == ["pg_backup_shop"] * 3 + ["pg_backup_mail"]
    assert (failures(outcomes), len(waits)) == ([], 2)


def test_damage_is_not_looked_at_again_in_the_hope_that_it_is_gone():
    do, done = doing(backup_verify_shop=1)
    run_tasks([task("backup_verify")], do, attempts=3)
    assert done == ["backup_verify_shop"]


def test_a_critical_check_is_a_failure():
    check = {"name": "daily", "status": "critical", "detail": "x.dump is damaged", "remedy": "take another"}
    (outcome,) = run_tasks([task("backup_verify")], lambda _task: {"checks": [check]})
    assert outcome.error == "daily: x.dump is damaged; take another"


def test_a_line_says_that_it_succeeded_and_what_it_did():
    do, _done = doing()
    lines = log_lines(run_tasks(TASKS, do), job="daily", success="daily backup completed", at=AT, seconds=34.4)
    assert lines == [
        f"{AT} daily backup completed: daily-shop_20261121T020000Z 2.05 kB, daily-mail_20261121T020000Z 2.05 kB, "
        "daily-shop copied, daily-mail copied, 2 of daily-shop pruned, 2 of daily-mail pruned (34s)"
    ]


def test_a_failure_is_told_without_the_words_of_success():
    do, _done = doing(pg_backup_shop=9)
    lines = log_lines(run_tasks(TASKS, do), job="daily", success="daily backup completed", at=AT, seconds=1)
    assert lines == [f"{AT} daily backup failed: pg_backup daily-shop: no space left"]


@pytest.mark.parametrize(
    ("bad", "status"),
    [pytest.param({}, "ok", id="success"), pytest.param({"pg_backup_shop": 9}, "critical", id="failure")],
)
def test_the_log_is_one_that_the_health_check_reads(tmp_path, bad, status):
    do, _done = doing(**bad)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    lines = log_lines(run_tasks(TASKS, do), job="daily", success="daily backup completed", at=at, seconds=1)
    path = tmp_path / "backup.log"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = {
        **{"path": str(path), "success": "daily backup completed", "max_age_seconds": 93600.0, "name": "daily"},
        **{"errors": ["error", "fail", "no space left"], "section": "Backups"},
    }
    (check,) = backup_log.judge(backup_log.measure(options), options)
    assert check["status"] == status
    assert re.search("succeeded" if not bad else "no line says", check["detail"])
