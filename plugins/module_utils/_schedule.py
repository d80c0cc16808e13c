# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine needs to run the calendar of a system by itself: a configuration, units or a line of cron. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._calendar import to_oncalendar
from ansible_collections.runbook.ops.plugins.module_utils._calendar_rule import CalendarError
from ansible_collections.runbook.ops.plugins.module_utils._calendar_words import explain
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import HOME, main_program
from ansible_collections.runbook.ops.plugins.module_utils._units import parse_duration

START = f"{HOME}._schedule_run"
MAIN = main_program(START, "schedule")
STATE = "var/lib/runbook-ops/schedule"
SPARE = "run/runbook-ops/schedule"  # in memory
SYSTEM = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
WRITTEN = "# Written by runbook.ops (playbook schedule), which replaces it whole.\n"
LEAST = {"timeout_seconds": 1, "wait_seconds": 0, "delay_seconds": 0, "grace_seconds": 0}
SPARE_SECONDS = 120  # what an engine has, beyond the time of its job, to end it and say so
SERVICE = (
    WRITTEN
    + """[Unit]
Description=Calendar of {system}: %i
Documentation=https://github.com/runbook-ops/runbook.ops/blob/main/docs/schedule.md
# What the machine slept through is made up for at boot: not before others can be reached.
Wants=network-online.target
After=network-online.target time-sync.target

[Service]
Type=oneshot
ExecStart={python} -I {engine} run {config} %i
TimeoutStartSec={limit}
# What it has started ends with it.
KillMode=control-group
TimeoutStopSec=20
UMask=0077
Nice=5
"""
)
TIMER = (
    WRITTEN
    + """[Unit]
Description=Calendar of {system}: {name}, {words}

[Timer]
{calendars}
# What the machine slept through is made up for once, as soon as it is up.
Persistent=yes
AccuracySec=1s
RandomizedDelaySec={delay}
FixedRandomDelay=yes

[Install]
WantedBy=timers.target
"""
)
# Cron knows no time zones, cannot say a month's first Monday, and forgets what it slept through: the engine is asked each minute.
CRON = WRITTEN + "* * * * * root {python} -I {engine} due {config}\n"


class ScheduleError(Exception):
    """A calendar that cannot be installed, changed or removed; the message says what is there now."""


def unit_of(system: str) -> str:
    """Return what the names of all units of a system begin with."""
    return f"runbook-ops-schedule-{system}@"


def timer_of(system: str, slug: str) -> str:
    """Return the name of the timer of a job."""
    return f"{unit_of(system)}{slug}.timer"


def config_of(system: str) -> str:
    """Return the path of the configuration."""
    return f"etc/runbook-ops/schedule-{system}.json"


def cron_of(system: str) -> str:
    """Return the path of the line of cron; a name with a dot cron would not read."""
    return f"etc/cron.d/runbook-ops-schedule-{system}"


def slug_of(name: str) -> str:
    """Return what names an entry in units and files."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def make_config(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the engine reads, and the check.

    :param options: those of the module
    :raises ScheduleError: an entry is none.
    """
    if not SYSTEM.match(options["system"]):
        raise ScheduleError(f"system {options['system']!r} cannot be part of a file's name; nothing was changed")
    for key, least in LEAST.items():
        if options[key] < least:
            raise ScheduleError(f"{key} must be at least {least}, not {options[key]}; nothing was changed")
    if not options["command"]:
        raise ScheduleError("command is empty: name the program that runs a playbook; nothing was changed")
    entries: dict[str, Any] = {}
    for entry in options["entries"]:
        slug = slug_of(entry["name"])
        if not slug or slug in entries:
            raise ScheduleError(f"{entry['name']!r} cannot be told from another entry: rename it; nothing was changed")
        try:
            explain(entry, options["time_zone"])
            limit = int(parse_duration(entry["timeout"])) if entry.get("timeout") else options["timeout_seconds"]
            if limit < 1:
                raise ValueError(f"{entry['timeout']!r} would end each run at once")
        except CalendarError as exc:
            raise ScheduleError(f"{exc}; nothing was changed") from None
        except ValueError as exc:
            raise ScheduleError(f"{entry['name']}: timeout: {exc}; nothing was changed") from None
        known = {key: entry.get(key) for key in ("name", "playbook", "cron", "calendar", "done_by")}
        if not known["done_by"]:
            known["argv"] = command(entry, options)
            known["timeout_seconds"] = limit
        entries[slug] = known
    named = ("system", "time_zone", "directory", "user", "delay_seconds", "grace_seconds")
    told = {**{key: options[key] for key in named}, "environment": _texts(options["environment"])}
    return {**told, "with": options["schedule_with"], "entries": entries}


def _texts(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables as a program gets them; what YAML reads as a truth value could mean two things."""
    for name, value in environment.items():
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ScheduleError(f"environment.{name} is no text: write it in quotes; nothing was changed")
    return {str(name): str(value) for name, value in environment.items()}


def command(entry: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    """Return what runs the playbook of an entry. The password of the vault is named by its file, never given."""
    playbook = entry["playbook"]
    is_ours = "." not in playbook and not options["command"][-1].endswith("plugin_utils.ci")  # which knows no others
    argv = [*options["command"], f"runbook.ops.{playbook}" if is_ours else playbook]
    for inventory in options["inventory"]:
        argv += ["-i", inventory]
    argv += ["--vault-password-file", options["vault_password_file"]] if options["vault_password_file"] else []
    # Jobs that the machine slept through begin together: one that changes a host waits for the other.
    # The record of the run says by schedule_entry which entry it was: several may have one playbook.
    return [
        *argv,
        "-e",
        f"change_wait_seconds={options['wait_seconds']}",
        "-e",
        f"schedule_entry={slug_of(entry['name'])}",
    ]


def jobs_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries that are run here, not only watched."""
    return {slug: entry for slug, entry in config["entries"].items() if not entry["done_by"]}


def render_units(config: Mapping[str, Any], *, python: str, engine: str, path: str) -> dict[str, str]:
    """Return the text of each unit by its name, that of the service first."""
    system, jobs = config["system"], jobs_of(config)
    longest = max((entry["timeout_seconds"] for entry in jobs.values()), default=0)
    units = {
        f"{unit_of(system)}.service": SERVICE.format(
            system=system, python=python, engine=engine, config=path, limit=longest + SPARE_SECONDS
        )
    }
    for slug, entry in jobs.items():
        calendars = to_oncalendar(entry, config["time_zone"])
        units[timer_of(system, slug)] = TIMER.format(
            system=system,
            name=_escaped(entry["name"]),
            words=explain(entry, config["time_zone"]),
            calendars="\n".join(f"OnCalendar={one}" for one in calendars),
            delay=config["delay_seconds"],
        )
    return units


def _escaped(text: str) -> str:
    """Return ``text`` as systemd reads it as such, on one line."""
    return " ".join(text.replace("%", "%%").split())


def render_cron(*, python: str, engine: str, path: str) -> str:
    """Return the line of cron."""
    return CRON.format(python=python, engine=engine, config=path)


def mark_of(system: str) -> str:
    """Return what comments out a line of cron that the calendar of ``system`` takes the place of."""
    return f"# runbook.ops schedules instead ({system}): "


def owned(paths: Sequence[str], system: str) -> list[str]:
    """Return those of ``paths`` that are engines of ``system``, not of another one whose name begins alike."""
    name = re.compile(rf"(?:.*/)?schedule-{re.escape(system)}-[0-9a-f]{{16}}\.pyz\Z")
    return [path for path in paths if name.match(path)]
