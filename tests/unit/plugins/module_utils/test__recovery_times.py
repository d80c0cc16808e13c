# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recovery took, against what was promised."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._recovery_times import judge, taken_at

BEGAN = 1_764_000_000.0  # 2025-11-24T16:00:00Z
MARKS = [
    {"step": "begin", "at": BEGAN},
    {"step": "packages installed", "at": BEGAN + 30},
    {"step": "databases restored", "at": BEGAN + 130},
]
BACKUPS = ["daily_20251124T140000Z", "host-files_20251124T020000Z"]


def found(checks, identity):
    return next(check for check in checks if check["id"] == identity)


def of(rto=None, rpo=None, **more):
    return judge(MARKS, more.pop("backups", BACKUPS), rto_seconds=rto, rpo_seconds=rpo, **more)


@pytest.mark.parametrize(
    ("promised", "status"),
    [
        pytest.param(3600, "ok", id="faster than promised"),
        pytest.param(130, "ok", id="just as promised"),
        pytest.param(129, "critical", id="slower than promised"),
        pytest.param(None, "warning", id="nothing promised"),
    ],
)
def test_the_recovery_time_is_from_the_first_mark_to_the_last(promised, status):
    check = found(of(rto=promised), "recovery:rto")
    assert (check["status"], check["value"], check["limit"]) == (status, 130, promised)


def test_the_longest_step_is_named():
    assert "databases restored (1m 40s)" in found(of(rto=100), "recovery:rto")["detail"]


@pytest.mark.parametrize(
    ("promised", "status"),
    [
        pytest.param(86400, "ok", id="younger than promised"),
        pytest.param(14 * 3600, "ok", id="just as old"),
        pytest.param(14 * 3600 - 1, "critical", id="older"),
        pytest.param(None, "warning", id="nothing promised"),
    ],
)
def test_the_recovery_point_is_that_of_the_oldest_of_what_was_restored(promised, status):
    check = found(of(rpo=promised), "recovery:rpo")
    assert (check["status"], check["value"]) == (status, 14 * 3600)
    assert "host-files_20251124T020000Z" in check["detail"]


def test_each_step_has_its_seconds():
    steps = {check["name"]: check["value"] for check in of() if ":step:" in check["id"]}
    assert steps == {"packages installed": 30, "databases restored": 100}


def test_a_recovery_that_failed_is_critical_however_fast_it_was():
    check = found(of(rto=3600, failed="fetch failed: no bucket"), "recovery:rto")
    assert check["status"] == "critical"
    assert check["remedy"] == "fetch failed: no bucket"
    assert "after: databases restored" in check["detail"]


def test_one_that_failed_at_once_and_one_that_never_began_say_so():
    assert found(judge(MARKS[:1], [], rto_seconds=1, rpo_seconds=1, failed="x"), "recovery:rto")["status"] == "critical"
    assert judge([], [], rto_seconds=1, rpo_seconds=1, failed="x") == []


def test_a_recovery_for_real_that_is_late_has_succeeded_all_the_same():
    checks = of(rto=100, rpo=1, for_real=True)
    for name in ("recovery:rto", "recovery:rpo"):
        assert found(checks, name)["status"] == "warning"
        assert "Describe" not in found(checks, name)["remedy"]
    assert found(of(rto=3600, for_real=True, failed="x"), "recovery:rto")["status"] == "critical"


def test_the_time_of_a_mere_test_restore_is_no_recovery_time():
    checks = of(rto=1, data_only=True)
    assert [check["id"] for check in checks if ":step:" not in check["id"]] == ["recovery:test", "recovery:rpo"]
    assert found(checks, "recovery:test")["status"] == "ok"
    assert found(of(data_only=True, failed="x"), "recovery:test")["status"] == "critical"


def test_what_is_no_name_of_a_backup_is_an_error():
    with pytest.raises(ValueError, match="no name of a backup"):
        taken_at("daily.sql.gz")
