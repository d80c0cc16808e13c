# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A year of the five calendars, by a clock that is not ours: each job runs when it should, after a week of downtime too, never twice at once."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._calendar import occurrences
from ansible_collections.runbook.ops.plugins.module_utils._schedule import make_config, render_units, slug_of
from ansible_collections.runbook.ops.plugins.module_utils._schedule_state import due_now, judge_entry, written_at

from ._inventories import describe

SYSTEMS = ("lifeplatform", "mediasearch", "newsletter", "owlivion", "plugspace")
BEGIN, END = datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2027, 1, 1, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
# What the calendars say, as a person reads them: written by hand, not by the code under test.
ORACLE = {
    "*/5 * * * *": lambda at: at.minute % 5 == 0,
    "0 * * * *": lambda at: at.minute == 0,
    "0 */6 * * *": lambda at: (at.hour % 6, at.minute) == (0, 0),
    "0 0 * * 0": lambda at: (at.isoweekday(), at.hour, at.minute) == (7, 0, 0),
    "0 3 15 * *": lambda at: (at.day, at.hour, at.minute) == (15, 3, 0),
    "0 0,12 * * *": lambda at: (at.hour % 12, at.minute) == (0, 0),
    "0 11 1 * *": lambda at: (at.day, at.hour, at.minute) == (1, 11, 0),
    "30 2 * * *": lambda at: (at.hour, at.minute) == (2, 30),
    "0 3 * * 0": lambda at: (at.isoweekday(), at.hour, at.minute) == (7, 3, 0),
    "0 4 * * 0": lambda at: (at.isoweekday(), at.hour, at.minute) == (7, 4, 0),
    "Mon *-*~07/1 11:00:00": lambda at: (
        (at.isoweekday(), at.hour, at.minute) == (1, 11, 0) and (at + timedelta(days=7)).month != at.month
    ),
    "Sun *-*-08..14 04:00:00": lambda at: (at.isoweekday(), at.hour, at.minute) == (7, 4, 0) and 8 <= at.day <= 14,
    "Sun *-*-08..14 05:00:00": lambda at: (at.isoweekday(), at.hour, at.minute) == (7, 5, 0) and 8 <= at.day <= 14,
}
ORACLE.update(
    {f"0 {hour} * * *": lambda at, hour=hour: (at.hour, at.minute) == (hour, 0) for hour in (1, 2, 6, 9, 10, 18)}
)
ORACLE.update(
    {
        f"0 {hour} * * {day}": lambda at, hour=hour, day=day: (at.isoweekday(), at.hour, at.minute) == (day, hour, 0)
        for hour in (3, 4, 5, 10, 11)
        for day in (1, 3, 5)
    }
)
for number, weekday in enumerate(("Mon", "Tue", "Wed", "Thu"), 1):
    for clock in (5, 10, 11):
        ORACLE[f"{weekday} *-*-01..07 {clock:02}:00:00"] = lambda at, day=number, hour=clock: (
            (at.isoweekday(), at.hour, at.minute) == (day, hour, 0) and at.day <= 7
        )
        ORACLE[f"{weekday} *-01,04,07,10-01..07 {clock:02}:00:00"] = lambda at, day=number, hour=clock: (
            (at.isoweekday(), at.hour, at.minute) == (day, hour, 0) and at.day <= 7 and at.month in (1, 4, 7, 10)
        )


# What the runbooks run and when, as they say it: written by hand. Where they name no hour, none is compared.
RUNBOOKS = {
    "owlivion": [
        ("health_check", "0 9 * * *"), ("evening_review", "0 18 * * *"), ("health_check", "*/5 * * * *"), ("weekly_maintenance", "Mon"),
        ("security_review", "Wed"), ("performance_review", "Fri"), ("monthly_maintenance", "Mon *-*-01..07"), ("security_scan", "weekly"),
        ("access_review", "monthly"), ("log_analysis", "weekly"), ("database_optimization", "monthly"), ("test_restore", "monthly"),
        ("backup", "0 2 * * *"), ("backup", "0 3 * * 0"),
    ],
    "newsletter": [
        ("health_check", "daily"), ("weekly_maintenance", "weekly"), ("renew_certificates", "weekly"), ("performance_review", "weekly"),
        ("monthly_maintenance", "monthly"), ("database_optimization", "monthly"), ("test_restore", "monthly"),
        ("quarterly_review", "quarterly"), ("capacity_planning", "quarterly"), ("disaster_recovery_drill", "quarterly"),
    ],
    "mediasearch": [
        ("health_check", "0 9 * * *"), ("user_metrics", "0 10 * * *"), ("verify_backups", "Mon"), ("security_review", "Wed"),
        ("performance_review", "Fri"), ("cost_review", "0 11 1 * *"), ("database_maintenance", "0 3 15 * *"), ("security_audit", "Mon *-*~07/1"),
        ("backup", "0 */6 * * *"), ("log_rotation", "0 2 * * *"), ("user_metrics", "0 6 * * *"), ("cost_review", "0 * * * *"),
        ("health_check", "*/5 * * * *"), ("health_check", "0 0 * * 0"),
    ],
    "lifeplatform": [
        ("backup", "0 2 * * *"), ("log_rotation", "daily"), ("performance_review", "daily"), ("health_check", "daily"),
        ("weekly_maintenance", "weekly"), ("database_maintenance", "weekly"), ("verify_backups", "weekly"), ("log_analysis", "weekly"),
        ("monthly_maintenance", "monthly"), ("database_optimization", "monthly"), ("capacity_planning", "monthly"),
        ("quarterly_review", "quarterly"), ("disaster_recovery_drill", "quarterly"), ("cost_review", "quarterly"),
    ],
}  # fmt: skip
TIMES_A_YEAR = {"daily": 365, "weekly": 52, "monthly": 12, "quarterly": 4}
# The scripts of the runbooks' cron lines that the calendar takes the place of. Backups and the health timer are others' (done_by).
SCRIPTS = {
    "mediasearch": {
        "/scripts/rotate-logs.sh",
        "/scripts/generate-usage-report.sh",
        "/scripts/update-cost-tracking.sh",
        "/scripts/db-maintenance.sh",
    }
}
LATER = {"security_review", "security_scan", "access_review", "security_audit", "rotate_secrets"}  # no playbook yet


def entries_of(system):
    return describe(system).system["schedule"]


def walls(zone, begin=BEGIN, end=END):
    """Every fifth minute, with what the clock on the wall says, and whether it has said so before: no job is due between them."""
    place, seen, at, found = ZoneInfo(zone), set(), begin, []
    while at < end:
        wall = at.astimezone(place).replace(tzinfo=None)
        found.append((at, wall, wall in seen))
        if wall.date() in (date(2026, 10, 25), date(2026, 10, 24)):
            seen.add(wall)
        at += 5 * MINUTE
    return found


@pytest.fixture(scope="module", params=["UTC", "Europe/Berlin"])
def year(request):
    return request.param, walls(request.param)


def test_every_job_of_the_five_calendars_runs_when_it_should_for_a_year(year):
    zone, minutes = year
    times = sorted(
        {entry["cron"] or entry["calendar"]: entry for system in SYSTEMS for entry in entries_of(system)}.items()
    )
    assert len(times) > 25
    for text, entry in times:
        is_due = ORACLE[text]
        expected = {
            at for at, wall, again in minutes if is_due(wall) and (not again or text in ("*/5 * * * *", "0 * * * *"))
        }
        found = set(occurrences(entry, zone, BEGIN, END))
        missing = datetime(
            2026, 3, 29, 1, tzinfo=timezone.utc
        )  # 02:00 to 03:00 is not there in Berlin: made up for at 03:00
        made_up = {missing} if zone != "UTC" and text in ("0 2 * * *", "30 2 * * *") else set()
        assert found == expected | made_up, (zone, text)


@pytest.mark.parametrize(
    ("system", "playbook", "when"), [(system, *one) for system, whole in RUNBOOKS.items() for one in whole]
)
def test_every_line_of_the_runbooks_calendars_is_in_ours(system, playbook, when):
    entries = [entry for entry in entries_of(system) if entry["playbook"] == playbook]
    if when in TIMES_A_YEAR:
        assert TIMES_A_YEAR[when] in [len(occurrences(entry, "UTC", BEGIN, END)) for entry in entries]
    elif when in ("Mon", "Wed", "Fri"):
        days = [{at.strftime("%a") for at in occurrences(entry, "UTC", BEGIN, END)} for entry in entries]
        assert {when} in days
    else:
        assert any((entry["cron"] or entry["calendar"]).startswith(when) for entry in entries)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_entry_names_a_playbook_that_is_there_or_is_known_to_come(system):
    there = {path.stem for path in (Path(__file__).parents[3] / "playbooks").glob("*.yml")}
    named = {entry["playbook"] for entry in entries_of(system)}
    assert named - there <= LATER
    assert not LATER & there, "it is there now: take it off the list"


def test_the_cron_lines_of_the_runbooks_are_replaced():
    for system, scripts in SCRIPTS.items():
        run = {entry["playbook"] for entry in entries_of(system) if not entry["done_by"]}
        replaced = {path for entry in entries_of(system) for path in entry["replaces"]}
        replaced |= {one["path"] for one in describe(system).system["scripts"] if one["playbook"] in run}
        assert scripts <= replaced


class Machine:
    """A machine that asks each minute what is due, as the line of cron does; a job takes its time."""

    def __init__(self, config, since, takes):
        self.config, self.since, self.takes = config, since, takes
        self.results, self.ends, self.starts = {}, {}, []

    def minute(self, at):
        for slug in due_now(self.config, self.results, since=self.since, now=at):
            if self.ends.get(slug, at) <= at:
                self.starts.append((slug, at))
                self.results[slug] = {"started_at": written_at(at), "status": "ok", "seconds": 1}
                self.ends[slug] = at + self.takes


def config_of(entries, zone="Europe/Berlin"):
    return make_config(
        {
            "system": "demo", "entries": entries, "time_zone": zone, "directory": "/srv", "user": None, "environment": {}, "delay_seconds": 0,
            "grace_seconds": 900, "schedule_with": "cron", "command": ["ansible-playbook"], "inventory": [], "vault_password_file": None,
            "wait_seconds": 60, "timeout_seconds": 3600,
        }
    )  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS)
def test_after_a_week_of_downtime_each_job_is_made_up_for_once(system):
    entries = [entry for entry in entries_of(system) if not entry["done_by"]]
    config = config_of(entries)
    down, up = datetime(2026, 3, 24, 12, 3, tzinfo=timezone.utc), datetime(2026, 3, 31, 12, 3, tzinfo=timezone.utc)
    machine = Machine(config, down - timedelta(days=40), timedelta(minutes=30))
    machine.results = {slug_of(entry["name"]): {"started_at": written_at(down), "status": "ok"} for entry in entries}
    for number in range(30):
        machine.minute(up + number * MINUTE)
    missed = {slug_of(entry["name"]) for entry in entries if occurrences(entry, "Europe/Berlin", down, up)}
    assert {slug for slug, at in machine.starts if at == up} == missed
    assert len(machine.starts) == len(missed)


def test_a_job_that_is_due_once_a_day_runs_once_a_day():
    machine = Machine(config_of([DAILY]), BEGIN, MINUTE)
    for number in range(2 * 1440):
        machine.minute(datetime(2026, 3, 28, tzinfo=timezone.utc) + number * MINUTE)
    assert [f"{at:%d %H:%M}" for _slug, at in machine.starts] == [
        "28 00:00",
        "28 08:00",
        "29 07:00",
    ]  # the first is made up for


def test_a_job_that_takes_longer_than_its_interval_never_runs_twice_at_once():
    config = config_of([{"name": "often", "playbook": "x", "cron": "*/5 * * * *", "calendar": None, "done_by": None}])
    machine, start = Machine(config, BEGIN, timedelta(minutes=12)), datetime(2026, 10, 24, 23, tzinfo=timezone.utc)
    for number in range(240):  # over the hour that comes twice
        machine.minute(start + number * MINUTE)
    times = [at for _slug, at in machine.starts]
    assert all(later - earlier >= timedelta(minutes=12) for earlier, later in zip(times, times[1:], strict=False))
    assert len(times) == 20  # as soon as it can: no hour is left out


def test_every_calendar_can_be_installed_and_names_no_secret():
    for system in SYSTEMS:
        config = config_of(entries_of(system), "Europe/Berlin")
        units = render_units(config, python="/usr/bin/python3", engine="/e.pyz", path="/c.json")
        own = [entry for entry in entries_of(system) if not entry["done_by"]]
        assert len(units) == len(own) + 1
        assert all("OnCalendar=" in text for name, text in units.items() if name.endswith(".timer"))


NOW = datetime(2026, 6, 3, 12, tzinfo=timezone.utc)
DAILY = {"name": "daily", "playbook": "health_check", "cron": "0 9 * * *", "calendar": None, "done_by": None}


@pytest.mark.parametrize(
    ("result", "since", "status", "says"),
    [
        pytest.param({}, NOW, "ok", "has not run yet", id="just installed"),
        pytest.param({}, BEGIN, "critical", "was due at 2026-06-03 09:00 UTC and did not run", id="it never ran"),
        pytest.param(
            {"status": "ok", "started_at": "2026-06-03T09:00:01Z", "seconds": 3}, BEGIN, "ok", "went well", id="it ran"
        ),
        pytest.param(
            {"status": "ok", "started_at": "2026-06-02T09:00:01Z"},
            BEGIN,
            "critical",
            "did not run",
            id="only the day before",
        ),
        pytest.param(
            {"status": "failed", "started_at": "2026-06-03T09:00:01Z", "message": "disk full"},
            BEGIN,
            "critical",
            "disk full",
            id="it failed",
        ),
        pytest.param(
            {"status": "timed out", "started_at": "2026-06-03T09:00:01Z"},
            BEGIN,
            "critical",
            "timed out",
            id="it took too long",
        ),
        pytest.param(
            {"status": "interrupted", "started_at": "2026-06-03T09:00:01Z"},
            BEGIN,
            "critical",
            "interrupted",
            id="it was killed",
        ),
        pytest.param(
            {"status": "running", "started_at": "2026-06-03T09:00:01Z"}, BEGIN, "ok", "runs since", id="it runs"
        ),
        pytest.param({"status": "missing", "message": "no unit"}, NOW, "critical", "no unit", id="whose unit is gone"),
    ],
)
def test_the_check_turns_red_where_a_job_failed_or_did_not_run(result, since, status, says):
    config = config_of([DAILY], "UTC")
    check = judge_entry("daily", config["entries"]["daily"], config, result, since=since, now=NOW)
    assert (check["id"], check["status"]) == ("schedule:demo:daily", status)
    assert says in check["detail"] and "every day at 09:00 UTC" in check["detail"]
    assert check["detail"].endswith("next 2026-06-04 09:00 UTC")


@pytest.mark.parametrize(
    ("minute", "status"), [pytest.param(44, "ok", id="within both"), pytest.param(46, "critical", id="after both")]
)
def test_a_job_is_missed_only_after_the_delay_of_its_timer_and_the_grace(minute, status):
    config = {**config_of([DAILY], "UTC"), "delay_seconds": 1800, "grace_seconds": 900}
    now = datetime(2026, 6, 3, 9, minute, tzinfo=timezone.utc)
    ran = {"status": "ok", "started_at": "2026-06-02T09:00:01Z", "seconds": 3}
    assert judge_entry("daily", config["entries"]["daily"], config, ran, since=BEGIN, now=now)["status"] == status
