# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup jobs in a directory that stands for a host, with a systemd that does what it is told."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from datetime import date

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _backup_schedule_host, _engine_apply
from ansible_collections.runbook.ops.plugins.module_utils._backup_schedule import SERVICE, ScheduleError, missing_night
from ansible_collections.runbook.ops.plugins.module_utils._backup_schedule_host import Host
from ansible_collections.runbook.ops.plugins.module_utils._engine_apply import EngineError
from ansible_collections.runbook.ops.plugins.modules import backup_schedule

from ._engines import Programs, tree

SOURCES = functools.cache(_backup_schedule_host.needed_sources)
CRON = "MAILTO=ops\n0 2 * * * root /srv/backup.sh\n0 3 * * * root /srv/other.sh\n"
SECRETS = {"database:shop": "s3cret", "database:other": "not of ours"}


def job(name="daily", calendar="*-*-* 04:00:00", log=None):
    return {"name": name, "calendar": calendar, "log": log}


def task(name="daily", **options):
    options = {"directory": "/backups", "set": name, "keep": {"last": 7}, **options}
    base = {"job": name, "module": "backup_rotate", "name": "shop", "set": name}
    return {**base, "options": options, "secrets": {"login_password": "database:shop"}}


OPTIONS = {
    **{"state": "present", "jobs": [job()], "tasks": [task()], "secrets": SECRETS, "time_zone": "Europe/Berlin"},
    **{"delay_seconds": 300, "timeout_seconds": 3600, "attempts": 3, "retry_seconds": 120},
    **{"replaces": ["/srv/backup.sh"], "replace_cron": False},
}


@pytest.fixture(autouse=True)
def sources_read_once(monkeypatch):
    monkeypatch.setattr(_backup_schedule_host, "needed_sources", SOURCES)


class FakeHost(Programs):
    """With units that it enables, starts and reads."""

    def __init__(self, root):
        super().__init__(root)
        self.enabled, self.active = set(), set()
        self.loaded = {}  # what systemd has read of the units that run

    def answer(self, *arguments):
        verb, unit = arguments[0], arguments[-1]
        if verb == "show":
            return "\n".join(map(self.told, arguments[1:-1]))
        if verb == "daemon-reload":
            self.loaded = {name: self.read(name) for name in self.loaded}
        elif verb == "enable":
            self.enabled.add(unit)
        elif verb == "restart":
            self.active.add(unit)
            for name in (unit, unit.replace(".timer", ".service")):
                self.loaded.setdefault(name, self.read(name))
        elif verb == "stop":
            self.active.discard(unit)
        elif verb == "disable":
            self.enabled.discard(unit)
            self.active.discard(unit)
        return None

    def read(self, unit):
        """Return the text of the unit's file, a template's for what is made of one."""
        path = self.root / "etc/systemd/system" / unit
        path = path if path.exists() else path.with_name(SERVICE)
        return path.read_bytes() if path.exists() else None

    def told(self, unit):
        state = "enabled" if unit in self.enabled else "", "active" if unit in self.active else "inactive"
        stale = "yes" if self.loaded.get(unit, self.read(unit)) != self.read(unit) else "no"
        return "Id={}\nUnitFileState={}\nActiveState={}\nNeedDaemonReload={}\n".format(unit, *state, stale)


@pytest.fixture
def host(tmp_path):
    host = FakeHost(tmp_path)
    (tmp_path / "etc/cron.d/shop").write_text(CRON, encoding="utf-8")
    return host


def run(host, *, check_mode=False, **options):
    host.calls = []
    return backup_schedule.run({**OPTIONS, **options}, Host(host, root=str(host.root)), check_mode=check_mode)


def unit(host, name):
    return (host.root / "etc/systemd/system" / name).read_text(encoding="utf-8")


def test_check_mode_looks_but_does_not_touch_and_predicts_what_the_run_does(host):
    before = tree(host)
    predicted = run(host, check_mode=True)
    assert tree(host) == before
    assert host.acted == ["systemd-analyze calendar", "python -I"]
    made = run(host)
    assert made == predicted
    assert made["changed"]
    assert made["schedule"]["timers"] == ["runbook-ops-backup@daily.timer"]


def test_a_second_run_has_nothing_to_do(host):
    run(host)
    again = run(host)
    assert (again["changed"], again["changes"], host.acted) == (False, [], [])
    assert again["diff"]["before"] == again["diff"]["after"]


def test_the_timer_makes_up_for_what_the_host_slept_through_in_the_time_zone_of_the_system(host):
    run(host)
    text = unit(host, "runbook-ops-backup@daily.timer")
    assert "OnCalendar=*-*-* 04:00:00 Europe/Berlin\n" in text
    assert "\nPersistent=yes\n" in text
    assert "{" not in text + unit(host, "runbook-ops-backup@.service")


def test_a_calendar_that_names_a_time_zone_keeps_it(host):
    run(host, jobs=[job(calendar="*-*-* 02:00:00 America/New_York")])
    assert "OnCalendar=*-*-* 02:00:00 America/New_York\n" in unit(host, "runbook-ops-backup@daily.timer")


def test_only_secrets_that_a_task_names_are_taken_and_none_is_shown(host):
    result = run(host)
    assert "s3cret" not in json.dumps(result)
    assert "s3cret" not in (host.root / "etc/runbook-ops/backup.json").read_text(encoding="utf-8")
    hidden = host.root / "etc/runbook-ops/backup.secrets.json"
    assert json.loads(hidden.read_text(encoding="utf-8")) == {"database:shop": "s3cret"}
    assert hidden.stat().st_mode & 0o777 == 0o600
    assert (host.root / "etc/runbook-ops/backup.json").stat().st_mode & 0o777 == 0o600


def test_a_job_that_is_no_longer_described_goes_and_the_others_stay(host):
    both = {"jobs": [job(), job("weekly")], "tasks": [task(), task("weekly")]}
    run(host, **both)
    stamp = host.root / "var/lib/systemd/timers/stamp-runbook-ops-backup@weekly.timer"
    stamp.parent.mkdir(parents=True)
    stamp.touch()
    result = run(host)
    assert result["schedule"]["timers"] == ["runbook-ops-backup@daily.timer"]
    assert "disable runbook-ops-backup@weekly.timer" in result["actions"]
    assert not stamp.exists()
    assert run(host)["changed"] is False


def test_a_new_engine_leaves_the_old_one_for_the_run_that_is_under_way(host, monkeypatch):
    run(host)
    names = []
    for number in range(3):
        monkeypatch.setattr(_backup_schedule_host, "MAIN", f"{_backup_schedule_host.MAIN}# {number}\n")
        names.append(run(host)["schedule"]["engine"])
    there = sorted(path.name for path in (host.root / "usr/local/lib/runbook-ops").glob("backup-*.pyz"))
    assert there == sorted(names[-2:])
    assert run(host)["changed"] is False


@pytest.mark.parametrize("call", ["python -I", "systemd-analyze calendar"])
def test_what_engine_or_systemd_refuse_changes_nothing(host, call):
    run(host)
    before = tree(host)
    host.fail = call
    with pytest.raises(ScheduleError, match="nothing was changed"):
        run(host, delay_seconds=60)
    assert tree(host) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"jobs": [job("../x")]}, "cannot name a job", id="a name that leads elsewhere"),
        pytest.param({"jobs": [job(), job()]}, "two jobs 'daily'", id="two of one name"),
        pytest.param({"tasks": []}, "has no tasks", id="nothing to do"),
        pytest.param({"secrets": {}}, "the secret database:shop is missing", id="a secret that is not there"),
    ],
)
def test_jobs_that_are_none_are_refused(host, options, message):
    before = tree(host)
    with pytest.raises(ScheduleError, match=message):
        run(host, **options)
    assert tree(host) == before


@pytest.mark.parametrize("call", ["systemctl daemon-reload", "systemctl enable", "systemctl restart"])
def test_a_change_that_fails_is_taken_back_with_what_was_new(host, call):
    run(host)
    before = tree(host), host.enabled.copy(), host.active.copy()
    host.fail = call
    with pytest.raises(EngineError, match=r"failed.*back in place"):
        run(host, delay_seconds=60, jobs=[job(), job("weekly")], tasks=[task(), task("weekly")])
    assert (tree(host), host.enabled, host.active) == before


def test_a_line_of_cron_comes_back_where_the_change_fails_after_it(host, monkeypatch):
    (host.root / "etc/cron.d/later").write_text(CRON, encoding="utf-8")
    run(host)
    before, real = tree(host), Host.write_crontab

    def write_crontab(self, path, text):
        if path.endswith("shop") and "runbook.ops" in text:
            raise OSError(28, "No space left on device", path)
        real(self, path, text)

    monkeypatch.setattr(Host, "write_crontab", write_crontab)
    with pytest.raises(EngineError, match=r"No space left on device.*back in place"):
        run(host, delay_seconds=60, replace_cron=True)
    assert tree(host) == before


def test_a_crontab_that_is_a_link_stays_one(host):
    kept = host.root / "srv/shop.cron"
    kept.parent.mkdir()
    kept.write_text(CRON, encoding="utf-8")
    link = host.root / "etc/cron.d/linked"
    link.symlink_to(kept)
    run(host, replace_cron=True)
    assert link.is_symlink()
    assert "runbook.ops" in kept.read_text(encoding="utf-8")
    left = kept.with_name(f".{kept.name}.partial")
    left.write_text("of a run that was killed", encoding="utf-8")
    run(host, replace_cron=True)
    assert not left.exists()


def test_a_disk_that_was_full_before_the_first_file_leaves_all_as_it_was(host, monkeypatch):
    run(host)
    before = tree(host)

    def write(_self, path, _file):
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(Host, "write", write)
    with pytest.raises(EngineError, match=r"No space left on device.*back in place"):
        run(host, delay_seconds=60)
    assert tree(host) == before


class Killed(BaseException):
    pass


def kill_at(monkeypatch, number):
    """Let the step of that number find no process to do it."""
    real, done = _engine_apply.do_step, []

    def do_step(host, step):
        if len(done) == number:
            raise Killed
        done.append(step)
        real(host, step)

    monkeypatch.setattr(_engine_apply, "do_step", do_step)


@pytest.mark.parametrize("number", range(6))
def test_what_a_kill_leaves_behind_is_what_the_next_run_goes_on_from(host, monkeypatch, number):
    with monkeypatch.context() as patch:
        kill_at(patch, number)
        with contextlib.suppress(Killed):
            run(host)
    assert run(host)["schedule"]["timers"] == ["runbook-ops-backup@daily.timer"]
    assert run(host)["changed"] is False


@pytest.mark.parametrize("number", range(9))
def test_after_a_kill_in_a_change_systemd_knows_the_new_calendar(host, monkeypatch, number):
    run(host)
    wish = {"jobs": [job(calendar="*-*-* 05:00:00")], "timeout_seconds": 7200}
    with monkeypatch.context() as patch:
        kill_at(patch, number)
        with contextlib.suppress(Killed):
            run(host, **wish)
    run(host, **wish)
    timer = "runbook-ops-backup@daily.timer"
    assert b"05:00:00" in host.loaded[timer]
    assert b"TimeoutStartSec=7200" in host.loaded["runbook-ops-backup@daily.service"]
    assert run(host, **wish)["changed"] is False


def test_a_timer_that_gets_another_time_counts_from_then_on_and_is_not_read_while_it_runs(host):
    """Else systemd finds the new time passed since the last run, and starts a backup in the middle of the day."""
    run(host)
    stamp = host.root / "var/lib/systemd/timers/stamp-runbook-ops-backup@daily.timer"
    stamp.parent.mkdir(parents=True)
    stamp.touch()
    os.utime(stamp, (0, 0))
    assert not any("rebase" in action for action in run(host, timeout_seconds=7200)["actions"])
    result = run(host, jobs=[job(calendar="*-*-* 05:00:00")])
    assert result["actions"][0] == "rebase runbook-ops-backup@daily.timer"
    assert stamp.stat().st_mtime > 0
    acted = [call for call in host.acted if call.startswith("systemctl")]
    assert acted.index("systemctl stop") < acted.index("systemctl daemon-reload") < acted.index("systemctl restart")


def test_systemd_is_told_of_units_that_it_has_not_read_again(host):
    run(host)
    host.loaded["runbook-ops-backup@daily.timer"] = b"the old calendar"
    predicted = run(host, check_mode=True)
    result = run(host)
    assert predicted == result
    assert result["actions"] == ["reload", "enable runbook-ops-backup@daily.timer"]
    assert result["changes"][0]["reason"] == "systemd had not read its units again"
    assert "written since systemd read it" in result["diff"]["before"]
    assert run(host)["changed"] is False


def test_what_a_killed_run_left_half_written_or_tried_out_goes(host):
    run(host)
    left = [
        host.root / name
        for name in (
            "etc/runbook-ops/.backup.secrets.json.partial",
            "etc/cron.d/.shop.partial",
            "run/runbook-ops-trial-0/x",
        )
    ]
    left[2].parent.mkdir()
    for path in left:
        path.write_text("s3cret", encoding="utf-8")
    other = host.root / "etc/runbook-ops/.monitor.json.partial"
    other.touch()
    result = run(host)
    assert result["changes"][0]["reason"] == "a killed run had left something"
    assert [path.exists() for path in left[:2]] == [False, False]
    run(host, delay_seconds=60)  # this one tries something out
    assert not left[2].exists()
    assert other.exists()


def test_a_timer_that_somebody_stopped_runs_again(host):
    run(host)
    host.active.clear()
    result = run(host)
    assert result["actions"] == ["enable runbook-ops-backup@daily.timer"]
    assert result["changes"][0]["reason"] == "a timer did not run"


def test_cron_is_reported_and_left_alone(host):
    result = run(host)
    assert [check["id"] for check in result["checks"]] == ["backup_schedule:cron:etc/cron.d/shop:0"]
    assert (host.root / "etc/cron.d/shop").read_text(encoding="utf-8") == CRON


def test_cron_is_replaced_after_the_timer_runs_and_comes_back_before_it_goes(host):
    made = run(host, replace_cron=True)
    assert made["actions"][-1] == "crontab /etc/cron.d/shop"
    assert made["checks"] == []
    text = (host.root / "etc/cron.d/shop").read_text(encoding="utf-8")
    assert "# runbook.ops backs up instead: 0 2 * * * root /srv/backup.sh\n0 3 * * *" in text
    gone = run(host, state="absent")
    assert gone["actions"][0] == "crontab /etc/cron.d/shop"
    assert (host.root / "etc/cron.d/shop").read_text(encoding="utf-8") == CRON


def test_the_password_in_a_line_of_cron_is_told_nowhere(host):
    (host.root / "etc/cron.d/shop").write_text("0 2 * * * root DB_PASSWORD=hunter22 /srv/backup.sh\n", encoding="utf-8")
    told = [run(host), run(host, replace_cron=True), run(host, state="absent")]
    assert [len(one["checks"]) + len(one["changes"]) for one in told] == [2, 1, 2]
    assert "hunter22" not in str(told)
    assert "DB_PASSWORD=*** /srv/backup.sh" in told[1]["diff"]["after"]


def test_a_line_of_cron_of_a_program_that_is_replaced_no_longer_comes_back(host):
    run(host, replace_cron=True)
    kept = run(host, replaces=[], replace_cron=False)
    assert kept["changed"] is False
    result = run(host, replaces=["/srv/other.sh"], replace_cron=True)
    assert [(one["action"], one["reason"]) for one in result["changes"]] == [
        ("put back", "0 2 * * * root /srv/backup.sh"),
        ("commented out", "0 3 * * * root /srv/other.sh"),
    ]
    assert run(host, replaces=["/srv/other.sh"], replace_cron=True)["changed"] is False


def test_the_removal_leaves_nothing(host):
    before = tree(host)
    run(host, replace_cron=True)
    predicted = run(host, state="absent", check_mode=True)
    removed = run(host, state="absent")
    assert removed == predicted
    assert tree(host) == before
    assert (host.enabled, host.active) == (set(), set())
    assert run(host, state="absent")["changed"] is False


@pytest.mark.parametrize(
    ("calendar", "night"),
    [
        pytest.param("*-*-* 02:30:00 Europe/Berlin", date(2027, 3, 28), id="an hour that does not exist in spring"),
        pytest.param("02:00 America/New_York", date(2027, 3, 14), id="without seconds, elsewhere"),
        pytest.param("*-*-* 03:00:00 Europe/Berlin", None, id="an hour that always exists"),
        pytest.param("*-*-* 01:00:00 Europe/Berlin", None, id="one before it"),
        pytest.param("*-*-* 02:30:00 UTC", None, id="a zone whose clocks do not change"),
        pytest.param("*-*-* 02:30:00", None, id="no zone"),
        pytest.param("*-*-* 00/6:00:00 Europe/Berlin", None, id="many hours"),
        pytest.param("*-*-* 02:30:00 Middle/Earth", None, id="a zone that nobody knows"),
    ],
)
def test_a_night_that_is_left_out_when_the_clocks_change_is_known(calendar, night):
    assert missing_night(calendar, date(2026, 11, 21)) == night


def test_a_night_that_is_left_out_is_reported(host):
    result = run(host, jobs=[job(calendar="*-*-* 02:30:00")])
    assert "backup_schedule:night:daily" in [check["id"] for check in result["checks"]]
