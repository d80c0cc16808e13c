# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host needs to back itself up: a configuration for the engine, a unit, a timer for each job. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from ansible_collections.runbook.ops.plugins.module_utils._engine_file import HOME, main_program

START = f"{HOME}._backup_job_run"
MAIN = main_program(START, "backup")
MARK = "# runbook.ops backs up instead: "
UNIT = "runbook-ops-backup@"
SERVICE = f"{UNIT}.service"
LOG = "/var/log/runbook-ops/backup.log"
JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*\Z")
ZONE = re.compile(r"(?:[A-Z][A-Za-z_]+(?:/[A-Za-z0-9_+-]+)+|UTC)\Z")
HOUR = re.compile(r"(?:^| )(\d{1,2}):(\d\d)(?::\d\d)?(?: |\Z)")
TEMPLATE = """# Written by runbook.ops (playbook schedule_backups), which replaces it whole.
[Unit]
Description=Back this host up: %i
Documentation=https://github.com/runbook-ops/runbook.ops/blob/main/docs/backup_schedule.md
# A run that the host slept through is made up for at boot: not before what it saves is there.
Wants=network-online.target
After=network-online.target time-sync.target docker.service postgresql.service redis-server.service

[Service]
Type=oneshot
ExecStart={python} -I {engine} run %i
TimeoutStartSec={limit}
# What it has started ends with it.
KillMode=control-group
TimeoutStopSec=20
# Where gpg and docker look for what is root's.
Environment=HOME=%h
UMask=0077
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
CPUWeight=20
IOWeight=20
NoNewPrivileges=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
RestrictRealtime=yes
LockPersonality=yes
"""
TIMER = """# Written by runbook.ops (playbook schedule_backups), which replaces it whole.
[Unit]
Description=Back this host up by itself: {name}

[Timer]
OnCalendar={calendar}
# One that the host slept through is made up for as soon as it is up.
Persistent=yes
AccuracySec=1s
RandomizedDelaySec={delay}
FixedRandomDelay=yes

[Install]
WantedBy=timers.target
"""


class ScheduleError(Exception):
    """A schedule that cannot be installed, changed or removed; the message says what is there now."""


def timer_of(name: str) -> str:
    """Return the name of the timer of the job ``name``."""
    return f"{UNIT}{name}.timer"


def calendar_of(job: Mapping[str, Any], time_zone: str | None) -> str:
    """Return when a job runs, in the time zone of the system where it names none itself."""
    text = job["calendar"].strip()
    return text if not time_zone or ZONE.match(text.split()[-1]) else f"{text} {time_zone}"


def missing_night(calendar: str, today: date) -> date | None:
    """Return the next day of a year on which the hour of ``calendar`` does not exist, because the clocks change: systemd leaves that one out.

    None too where the calendar names no zone or no one hour, or the host does not know the zone.
    """
    hour, zone = HOUR.search(calendar), ZONE.match(calendar.rsplit(maxsplit=1)[-1])
    if not hour or not zone:
        return None
    try:
        place, at = ZoneInfo(zone[0]), time(int(hour[1]), int(hour[2]))
    except (KeyError, ValueError, OSError):
        return None
    for number in range(366):
        local = datetime.combine(today + timedelta(days=number), at, place)
        if local.astimezone(timezone.utc).astimezone(place).replace(tzinfo=None) != local.replace(tzinfo=None):
            return local.date()
    return None


def render_units(
    jobs: Sequence[Mapping[str, Any]], *, python: str, engine: str, options: Mapping[str, Any]
) -> dict[str, str]:
    """Return the text of each unit by its name."""
    units = {SERVICE: TEMPLATE.format(python=python, engine=engine, limit=options["timeout_seconds"])}
    for job in jobs:
        units[timer_of(job["name"])] = TIMER.format(
            name=job["name"], calendar=calendar_of(job, options["time_zone"]), delay=options["delay_seconds"]
        )
    return units


def make_config(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the engine reads: the configuration, and of the secrets those that a task names.

    :param options: those of the module
    :raises ScheduleError: a job is none, or has nothing to do.
    """
    jobs: dict[str, Any] = {}
    for job in options["jobs"]:
        name, log = job["name"], job["log"] or {}
        tasks = [task for task in options["tasks"] if task.get("job") == name]
        if not JOB.match(name):
            raise ScheduleError(f"{name!r} cannot name a job: use letters, digits, '.' and '-'; nothing was changed")
        if name in jobs:
            raise ScheduleError(f"there are two jobs {name!r}: rename one; nothing was changed")
        if not tasks:
            raise ScheduleError(f"the job {name!r} has no tasks: nothing was changed")
        jobs[name] = {
            "tasks": tasks,
            "log": log.get("path") or LOG,
            "success": log.get("success") or f"{name} backup completed",
        }
    named = {secret for job in jobs.values() for task in job["tasks"] for secret in task["secrets"].values()}
    lacking = sorted(named - set(options["secrets"] or {}))
    if lacking:
        raise ScheduleError(f"the secret {lacking[0]} is missing from secrets: nothing was changed")
    config = {"jobs": jobs, **{key: options[key] for key in ("attempts", "retry_seconds")}}
    return config, {name: options["secrets"][name] for name in sorted(named)}
