# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log without errors and a backup that is young and whole are proven, not assumed."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _docker
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import Done
from ansible_collections.runbook.ops.plugins.module_utils.probes import backup_files, backup_log, log_errors

HOUR = 3600


def options(probe, **raw):
    return read_options({"probe": "x", "section": "S", **raw}, probe.OPTIONS, where="probes[0]")


def look(probe, **raw):
    asked = options(probe, **raw)
    return probe.judge(probe.measure(asked), asked)


def stamp(ago, form="%Y-%m-%dT%H:%M:%S"):
    return time.strftime(form, time.localtime(time.time() - ago))


def test_errors_of_the_night_are_counted_and_the_last_is_shown(tmp_path):
    log = tmp_path / "app.log"
    log.write_text(f"{stamp(30 * HOUR)} error old\n{stamp(2 * HOUR)} ERROR password=x\n{stamp(HOUR)} fine\n")
    (check,) = look(log_errors, path=str(log), name="application")
    assert (check["id"], check["status"], check["value"]) == ("log:application", "warning", 1)
    assert "password=***" in check["detail"]


def test_a_log_without_errors_is_in_order(tmp_path):
    log = tmp_path / "app.log"
    log.write_text(f"{stamp(HOUR)} fine\n")
    assert look(log_errors, path=str(log))[0]["status"] == "ok"


def test_errors_of_unknown_age_make_it_unknown(tmp_path):
    log = tmp_path / "app.log"
    log.write_text("error\n")
    (check,) = look(log_errors, path=str(log))
    assert (check["status"], "no time" in check["detail"]) == ("unknown", True)


def test_a_log_that_does_not_exist_is_said(tmp_path):
    with pytest.raises(ProbeError, match="does not exist"):
        look(log_errors, path=str(tmp_path / "none.log"))


def test_a_log_with_a_file_for_each_day_is_read_across_midnight(tmp_path):
    for day, ago in (("19", 50), ("20", 10), ("21", 1)):
        (tmp_path / f"api-2026-11-{day}.log").write_text(f"{stamp(ago * HOUR)} ERROR {day}\n")
    assert look(log_errors, path=str(tmp_path / "api-*.log"))[0]["value"] == 2


def test_what_containers_write_is_counted_on_both_outputs(monkeypatch):
    found = [SimpleNamespace(name="shop-web-1"), SimpleNamespace(name="shop-web-2")]
    monkeypatch.setattr(_docker, "containers", lambda **_where: found)
    monkeypatch.setattr(log_errors, "run_program", lambda *_argv, **_how: Done(0, "fine\nerror 1\n", "error 2\n"))
    assert look(log_errors, project="shop", service="web")[0]["value"] == 4
    monkeypatch.setattr(_docker, "containers", lambda **_where: [])
    with pytest.raises(ProbeError, match="web has no container"):
        look(log_errors, project="shop", service="web")


def test_the_logs_of_all_instances_of_a_pm2_application_belong_to_it(tmp_path, monkeypatch):
    logs = tmp_path / ".pm2" / "logs"
    logs.mkdir(parents=True)
    for name in ("my-api-out-0.log", "my-api-error-1.log", "my-api-error-1.log.1", "my-api-new-error.log"):
        (logs / name).write_text(f"{stamp(HOUR)} error\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert look(log_errors, pm2="my_api")[0]["value"] == 3


def make(directory, ago, size, form="backup_%Y%m%d_%H%M%S.sql.gz"):
    path = directory / stamp(ago, form)
    path.write_bytes(b"x" * size)
    return path


def backups(directory, **raw):
    raw = {"name": "daily", "pattern": "backup_*.sql*", "max_age_seconds": 26 * HOUR, "min_size_bytes": 100, **raw}
    return [(check["status"], check["detail"]) for check in look(backup_files, directory=str(directory), **raw)]


def test_a_young_and_large_backup_is_in_order(tmp_path):
    make(tmp_path, 20 * HOUR, 1000)
    assert [status for status, _detail in backups(tmp_path)] == ["ok", "ok"]


def test_the_date_in_the_name_counts_not_the_time_of_the_file(tmp_path):
    make(tmp_path, 30 * HOUR, 1000)
    assert backups(tmp_path)[0][0] == "critical"


def test_without_a_date_in_the_name_the_time_of_the_file_counts(tmp_path):
    path = tmp_path / "backup_latest.sql"
    path.write_bytes(b"x" * 1000)
    assert backups(tmp_path)[0][0] == "ok"
    os.utime(path, (time.time() - 30 * HOUR,) * 2)
    assert backups(tmp_path)[0][0] == "critical"


@pytest.mark.parametrize(
    ("size", "status", "words"),
    [
        (0, "critical", "empty"),
        (99, "critical", "broken"),
        (400, "warning", "the earlier ones about 1 kB"),
        (900, "ok", ""),
    ],
)
def test_a_backup_that_is_much_smaller_than_the_earlier_ones_is_suspicious(tmp_path, size, status, words):
    for day in range(1, 5):
        make(tmp_path, day * 24 * HOUR, 1000)
    make(tmp_path, HOUR, size)
    found, detail = backups(tmp_path)[1]
    assert found == status
    assert words in detail


def test_a_half_written_file_is_no_backup(tmp_path):
    make(tmp_path, HOUR, 1000, "backup_%Y%m%d_%H%M%S.sql.gz.partial")
    assert backups(tmp_path) == [("critical", f"no backup_*.sql* in {tmp_path}")]


def test_a_directory_that_does_not_exist_holds_no_backup(tmp_path):
    assert backups(tmp_path / "none") == [("critical", f"{tmp_path / 'none'} does not exist")]


def test_a_backup_of_several_files_is_as_large_as_all_of_them(tmp_path):
    folder = tmp_path / stamp(HOUR, "backup_%Y%m%d_%H%M%S.sqldir")
    folder.mkdir()
    for name in ("toc.dat", "1.dat"):
        (folder / name).write_bytes(b"x" * 60)
    assert backups(tmp_path)[1][0] == "ok"


def job(tmp_path, text, **raw):
    path = tmp_path / "backup.log"
    path.write_text(text)
    raw = {"path": str(path), "success": "daily backup completed", "max_age_seconds": 26 * HOUR, **raw}
    (check,) = look(backup_log, **raw)
    return check["status"], check["detail"]


@pytest.mark.parametrize(
    ("lines", "status", "words"),
    [
        pytest.param([(20, "daily backup completed")], "ok", "succeeded 20h ago", id="last night"),
        pytest.param([(30, "daily backup completed")], "critical", "at most 1d 2h", id="two nights ago"),
        pytest.param([(20, "weekly backup completed")], "critical", "no line says", id="another job"),
        pytest.param(
            [(40, "error"), (20, "daily backup completed")], "ok", "succeeded", id="an error before counts no more"
        ),
        pytest.param(
            [(20, "daily backup completed"), (2, "No space left on device")],
            "warning",
            "1 lines tell of errors since",
            id="one since",
        ),
        pytest.param([], "critical", "no line says", id="an empty log is not success"),
    ],
)
def test_the_log_must_tell_of_success_lately(tmp_path, lines, status, words):
    found, detail = job(tmp_path, "".join(f"{stamp(ago * HOUR)} {text}\n" for ago, text in lines))
    assert found == status
    assert words in detail


def test_success_before_the_last_rotation_counts(tmp_path):
    (tmp_path / "backup.log.1").write_text(f"{stamp(20 * HOUR)} daily backup completed\n")
    assert job(tmp_path, "")[0] == "ok"


def test_a_log_of_backups_that_does_not_exist_is_said(tmp_path):
    asked = {"path": str(tmp_path / "none"), "success": "x", "max_age_seconds": 1}
    with pytest.raises(ProbeError, match="does not exist"):
        look(backup_log, **asked)
