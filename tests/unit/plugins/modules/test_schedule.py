# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A calendar in a directory that stands for a machine, with a systemd that does what it is told; and the engine that runs its jobs."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _engine_apply, _schedule_host, _schedule_run
from ansible_collections.runbook.ops.plugins.module_utils._engine_apply import EngineError
from ansible_collections.runbook.ops.plugins.module_utils._schedule import STATE, ScheduleError
from ansible_collections.runbook.ops.plugins.module_utils._schedule_host import Host
from ansible_collections.runbook.ops.plugins.module_utils._schedule_state import due_now
from ansible_collections.runbook.ops.plugins.module_utils.probes import schedule as probe
from ansible_collections.runbook.ops.plugins.modules import schedule

from ._engines import Programs, tree

SOURCES = functools.cache(_schedule_host.needed_sources)
NOW = datetime(2026, 6, 3, 12, tzinfo=timezone.utc)
DAILY = {
    "name": "Daily tasks",
    "playbook": "health_check",
    "cron": "0 9 * * *",
    "calendar": None,
    "done_by": None,
    "timeout": None,
}
MONTHLY = {
    **DAILY,
    "name": "monthly",
    "playbook": "own/month.yml",
    "cron": None,
    "calendar": "Mon *-*-01..07 05:00:00",
    "timeout": "3h",
}
OPTIONS = {
    **{
        "state": "present",
        "system": "demo",
        "entries": [DAILY, MONTHLY],
        "time_zone": "Europe/Berlin",
        "schedule_with": "systemd",
    },
    **{
        "command": ["true"],  # in the place of ansible-playbook
        "inventory": ["inventories/demo"],
        "vault_password_file": None,
        "user": None,
        "lacking": [],
    },
    **{"environment": {}, "wait_seconds": 60, "delay_seconds": 0, "timeout_seconds": 600, "grace_seconds": 900},
}
TIMERS = ["runbook-ops-schedule-demo@daily-tasks.timer", "runbook-ops-schedule-demo@monthly.timer"]


@pytest.fixture(autouse=True)
def sources_read_once(monkeypatch):
    monkeypatch.setattr(_schedule_host, "needed_sources", SOURCES)


class FakeMachine(Programs):
    """With timers that are on or off, and services that may be busy."""

    def __init__(self, root):
        super().__init__(root)
        self.on, self.busy = set(), {}

    def answer(self, *arguments):
        if arguments[0] == "show":
            return "\n".join(f"Id={name}\n{self.told(name)}" for name in arguments[1:-1])
        if arguments[0] == "restart":
            self.on.add(arguments[-1])
        elif arguments[0] == "disable":
            self.on.discard(arguments[-1])
        return None

    def told(self, name):
        states = ("enabled", "active") if name in self.on else ("", "inactive")
        if self.busy.get(name):  # so many times
            self.busy[name] -= 1
            states = ("", "activating")
        return "UnitFileState={}\nActiveState={}\nNeedDaemonReload=no\n".format(*states)


@pytest.fixture
def machine(tmp_path):
    (tmp_path / "project/inventories/demo").mkdir(parents=True)
    (tmp_path / "vault").touch()
    return FakeMachine(tmp_path)


def run(machine, *, check_mode=False, **options):
    machine.calls = []
    asked = {**OPTIONS, "directory": str(machine.root / "project"), **options}
    asked["vault_password_file"] = asked["vault_password_file"] or str(machine.root / "vault")
    return schedule.run(asked, Host(machine, asked["system"], root=str(machine.root)), now=NOW, check_mode=check_mode)


def config(machine):
    return json.loads((machine.root / "etc/runbook-ops/schedule-demo.json").read_text(encoding="utf-8"))


def test_check_mode_does_not_touch_and_predicts_what_the_run_does(machine):
    before = tree(machine)
    predicted = run(machine, check_mode=True)
    assert tree(machine) == before
    done = run(machine)
    assert done == predicted
    assert done["changed"] and done["schedule"]["timers"] == TIMERS
    assert done["entries"][1]["due"] == "every first Monday of the month at 05:00 Europe/Berlin"
    assert done["entries"][0]["next"][0] == "2026-06-04T07:00:00Z"
    assert not run(machine)["changed"]


def test_a_playbook_of_ours_is_named_in_full_and_another_one_as_it_is(machine):
    run(machine)
    entries = config(machine)["entries"]
    tail = [
        "-i",
        "inventories/demo",
        "--vault-password-file",
        str(machine.root / "vault"),
        "-e",
        "change_wait_seconds=60",
        "-e",
    ]
    ours, own = entries["daily-tasks"]["argv"], entries["monthly"]["argv"]
    assert ours == ["true", "runbook.ops.health_check", *tail, "schedule_entry=daily-tasks"]
    assert own == ["true", "own/month.yml", *tail, "schedule_entry=monthly"]
    assert (entries["daily-tasks"]["timeout_seconds"], entries["monthly"]["timeout_seconds"]) == (600, 10800)


def test_an_entry_that_is_gone_is_removed_and_another_systems_stays(machine):
    run(machine)
    run(machine, system="demo-2", entries=[DAILY])
    done = run(machine, entries=[DAILY])
    assert done["schedule"]["timers"] == TIMERS[:1]
    assert "disable runbook-ops-schedule-demo@monthly.timer" in done["actions"]
    run(machine, state="absent")
    assert {name for name in tree(machine) if "schedule" in name and "demo-2" not in name} == set()
    assert not run(machine, system="demo-2", entries=[DAILY])["changed"]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"entries": [DAILY]}, id="removed"),
        pytest.param({"entries": [DAILY, {**MONTHLY, "name": "each month"}]}, id="renamed"),
        pytest.param({"schedule_with": "cron"}, id="moved to cron"),
        pytest.param({"state": "absent"}, id="all removed"),
    ],
)
def test_an_entry_whose_job_runs_is_not_taken_away(machine, monkeypatch, options):
    monkeypatch.setattr(schedule, "PATIENCE_SECONDS", 0)
    run(machine)
    before, on = tree(machine), set(machine.on)
    machine.busy = {TIMERS[1].replace(".timer", ".service"): 9}
    with pytest.raises(ScheduleError, match=r"demo@monthly.service runs, and would be killed.*nothing was changed"):
        run(machine, **options)
    assert (tree(machine), machine.on) == (before, on)


def test_an_entry_whose_job_is_about_to_end_is_taken_away_after_it(machine):
    run(machine)
    machine.busy = {TIMERS[1].replace(".timer", ".service"): 2}
    assert run(machine, entries=[DAILY])["schedule"]["timers"] == TIMERS[:1]


def test_an_entry_whose_job_runs_may_get_another_time(machine):
    run(machine)
    machine.busy = {TIMERS[0].replace(".timer", ".service"): 9}
    assert run(machine, entries=[{**DAILY, "cron": "0 8 * * *"}, MONTHLY])["changed"]


def test_an_entry_without_a_playbook_is_reported(machine):
    done = run(machine, lacking=["Security scan"])
    assert [(check["id"], check["status"]) for check in done["checks"]] == [("schedule:demo:security-scan", "warning")]


def test_cron_takes_the_place_of_the_timers(machine):
    run(machine)
    done = run(machine, schedule_with="cron")
    assert done["schedule"]["timers"] == [] and machine.on == set()
    line = (machine.root / "etc/cron.d/runbook-ops-schedule-demo").read_text(encoding="utf-8").splitlines()[-1]
    assert line.startswith("* * * * * root ") and line.endswith("schedule-demo.json")
    assert not run(machine, schedule_with="cron")["changed"]


@pytest.mark.parametrize("number", range(9))
def test_killed_before_any_step_the_next_run_finishes(machine, monkeypatch, number):
    real, left = _engine_apply.do_step, [number]

    def killed(host, step):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(host, step)

    monkeypatch.setattr(_engine_apply, "do_step", killed)
    with pytest.raises(KeyboardInterrupt):
        run(machine)
    monkeypatch.setattr(_engine_apply, "do_step", real)
    run(machine)
    assert machine.on == set(TIMERS)
    assert not run(machine)["changed"]


@pytest.mark.parametrize(
    ("options", "rebased"),
    [
        pytest.param({"entries": [{**DAILY, "cron": "0 8 * * *"}, MONTHLY]}, TIMERS[:1], id="another time"),
        pytest.param({"time_zone": "Asia/Tokyo"}, TIMERS, id="another zone"),
        pytest.param({"delay_seconds": 60}, [], id="another delay"),
    ],
)
def test_a_timer_that_gets_another_time_counts_from_then_on(machine, options, rebased):
    """Else systemd finds the new time passed since the last run, and starts the job in the middle of the day."""
    run(machine)
    done = run(machine, **options)
    assert [action for action in done["actions"] if "rebase" in action] == [f"rebase {timer}" for timer in rebased]


def test_what_cron_was_due_for_by_a_time_that_was_set_since_is_not_started():
    since = datetime(2026, 6, 3, 11, tzinfo=timezone.utc)
    told = {"entries": {"daily": DAILY}, "time_zone": "UTC"}
    ran = {"daily": {"started_at": "2026-06-02T10:00:00Z"}}
    assert due_now(told, ran, since=since, now=NOW) == []
    assert due_now(told, ran, since=since - timedelta(hours=3), now=NOW) == ["daily"]


def test_hosts_may_be_given_in_an_inventorys_place(machine):
    assert run(machine, inventory=["a,b"])["changed"]


def test_what_fails_is_put_back(machine):
    run(machine, entries=[DAILY])
    before = tree(machine)
    machine.fail = "systemctl restart"
    with pytest.raises(EngineError, match="back in place"):
        run(machine)
    assert tree(machine) == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(
            {"entries": [{**DAILY, "cron": "0 25 * * *"}]},
            "Daily tasks: .*'25' is not within",
            id="a time that is none",
        ),
        pytest.param({"entries": [DAILY, {**DAILY, "name": "daily-TASKS"}]}, "rename it", id="two of one name"),
        pytest.param(
            {"entries": [{**DAILY, "timeout": "soon"}]}, "Daily tasks: timeout: 'soon'", id="a duration that is none"
        ),
        pytest.param({"system": "../x"}, "part of a file's name", id="a system that is a path"),
        pytest.param({"entries": [{**DAILY, "timeout": "0s"}]}, "would end each run at once", id="no time at all"),
        pytest.param({"timeout_seconds": 0}, "timeout_seconds must be at least 1", id="no time at all for all"),
        pytest.param({"delay_seconds": -1}, "delay_seconds must be at least 0", id="a delay that is none"),
        pytest.param({"user": "nobody-such"}, "no account nobody-such", id="no account"),
        pytest.param(
            {"command": ["ansible-playbok"]}, "ansible-playbok is not installed.*PATH of environment", id="no program"
        ),
        pytest.param(
            {"environment": {"PATH": "/nowhere"}}, "true is not installed", id="a program that is not on the PATH"
        ),
        pytest.param(
            {"environment": {"ANSIBLE_NOCOLOR": True}}, "environment.ANSIBLE_NOCOLOR is no text", id="a truth value"
        ),
        pytest.param({"environment": {"X": None}}, "environment.X is no text", id="nothing for a variable"),
        pytest.param({"command": []}, "command is empty", id="no command"),
        pytest.param({"inventory": ["inventories/dmo"]}, "inventories/dmo is not there", id="no inventory"),
        pytest.param({"vault_password_file": "/nowhere/vault"}, "/nowhere/vault is not there", id="no password"),
        pytest.param({"directory": "/nowhere/at/all"}, "bring the project here", id="no project"),
    ],
)
def test_what_cannot_be_installed_is_refused_by_name_and_nothing_is_touched(machine, options, says):
    before = tree(machine)
    with pytest.raises(ScheduleError, match=says):
        run(machine, **options)
    assert tree(machine) == before


@pytest.fixture
def installed(machine):
    """A calendar with a program of our own in Ansible's place; returns its configuration and where its results are."""
    play = machine.root / "play"
    play.write_text(
        '#!/bin/sh\necho "$1"\ncase "$1" in *bad) echo "fatal: [a]: no"; echo last; exit 4;; *slow) sleep 60;; esac\n'
    )
    play.chmod(0o755)
    entries = [
        {**DAILY, "name": name, "playbook": name, "timeout": "1s"} for name in ("good", "bad", "slow", "missing")
    ]
    run(machine, entries=entries, command=[str(play)], environment={"ANSIBLE_FORKS": 5})
    path = machine.root / "etc/runbook-ops/schedule-demo.json"
    told = json.loads(path.read_text())
    told["entries"]["missing"]["argv"] = ["/nowhere/ansible-playbook"]
    path.write_text(json.dumps(told))
    return path, machine.root / STATE / "demo"


@pytest.mark.parametrize(
    ("slug", "code", "status", "says"),
    [
        ("good", 0, "ok", ""),
        ("bad", 1, "failed", "exit status 4: fatal: [a]: no"),
        ("slow", 1, "timed out", "ended after 1 s"),
        ("missing", 1, "failed", "/nowhere/ansible-playbook is not installed"),
    ],
)
def test_the_engine_keeps_what_became_of_a_job(installed, slug, code, status, says):
    path, folder = installed
    root = str(folder).removesuffix(f"/{STATE}/demo")
    assert _schedule_run.main(["run", str(path), slug], root=root) == code
    kept = json.loads((folder / f"{slug}.json").read_text())
    assert (kept["status"], kept["message"][: len(says)]) == (status, says)
    measured = probe.measure({"configs": [str(path)], "root": root, "timeout_seconds": 5})
    checks = {check["id"]: check for check in probe.judge(measured, {"section": "Calendar"})}
    assert checks[f"schedule:demo:{slug}"]["status"] == ("ok" if code == 0 else "critical")


def test_a_job_that_runs_is_not_started_a_second_time(installed, capfd):
    path, folder = installed
    root = str(folder).removesuffix(f"/{STATE}/demo")
    folder.mkdir(parents=True)
    held = _schedule_run._lock_file.take(folder / ".good.lock")
    try:
        assert _schedule_run.main(["run", str(path), "good"], root=root) == 0
    finally:
        os.close(held)
    assert "runs already" in capfd.readouterr().out and not (folder / "good.json").exists()


def test_where_the_disk_is_full_a_job_runs_once_and_what_became_of_it_is_known(installed, monkeypatch):
    path, folder = installed
    root = str(folder).removesuffix(f"/{STATE}/demo")
    real, is_full = _schedule_run.replace_file, [True]

    def replace_file(target, content, *, mode):
        if is_full[0] and folder in target.parents:
            raise OSError(28, "No space left on device", str(target))
        real(target, content, mode=mode)

    monkeypatch.setattr(_schedule_run, "replace_file", replace_file)
    places, told = _schedule_run.Places.of("demo", root), json.loads(path.read_text())
    assert _schedule_run.main(["run", str(path), "good"], root=root) == 0
    results, now = _schedule_run.read_results(places), datetime.now(timezone.utc)
    assert results["good"]["status"] == "ok" and not (folder / "good.json").exists()
    assert "good" not in due_now(told, results, since=now - timedelta(days=2), now=now)
    is_full[0] = False
    assert _schedule_run.main(["run", str(path), "good"], root=root) == 0
    assert (folder / "good.json").exists() and not list(places.spare.iterdir())


def test_what_a_job_says_by_cron_is_for_root_only_and_its_result_for_all(installed):
    path, folder = installed
    folder.mkdir(parents=True)
    log = folder / "good.log"
    log.write_text("of the last run")
    log.chmod(0o644)
    root = str(folder).removesuffix(f"/{STATE}/demo")
    code = f"""import os, sys
os.umask(0o077)
from {_schedule_run.__name__} import main
sys.exit(main(["run", {str(path)!r}, "good"], root={root!r}))"""
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, _schedule_run.LOGS: "1"}, check=False)
    assert done.returncode == 0
    assert log.read_text().startswith("runbook.ops.good\ngood: ok")
    modes = [one.stat().st_mode & 0o777 for one in (log, folder, folder / "good.json")]
    assert modes == [0o600, 0o755, 0o644]


def test_the_log_of_a_run_under_way_stays(installed, monkeypatch):
    path, folder = installed
    folder.mkdir(parents=True)
    (folder / "good.log").write_text("of this run")
    held = _schedule_run._lock_file.take(folder / ".good.lock")
    monkeypatch.setenv(_schedule_run.LOGS, "1")
    try:
        assert _schedule_run.main(["run", str(path), "good"], root=str(folder).removesuffix(f"/{STATE}/demo")) == 0
    finally:
        os.close(held)
    assert (folder / "good.log").read_text() == "of this run"


def test_a_run_whose_process_is_gone_was_interrupted():
    own = {"status": "running", "pid": os.getpid(), "born": _schedule_run._born(os.getpid())}
    assert _schedule_run.settled(own) == own
    assert _schedule_run.settled({**own, "born": "another"})["status"] == "interrupted"
    assert _schedule_run.settled({**own, "pid": 2**22 + 1})["status"] == "interrupted"


@pytest.mark.parametrize("arguments", [[], ["run"], ["run", "x"], ["list"], ["dance", "x"]])
def test_who_calls_the_engine_wrongly_is_told_how(arguments, capsys):
    assert _schedule_run.main(arguments) == 2
    assert "usage: schedule run CONFIG JOB" in capsys.readouterr().err


def test_a_configuration_that_is_broken_is_named(tmp_path, capsys):
    broken = tmp_path / "schedule-demo.json"
    broken.write_text("{")
    assert _schedule_run.main(["list", str(broken)]) == 1
    assert str(broken) in capsys.readouterr().err
