# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup jobs as they are installed on a host, and how they get there or go. Private to this collection."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _backup_job_run
from ansible_collections.runbook.ops.plugins.module_utils._backup_schedule import (
    MAIN,
    MARK,
    SERVICE,
    UNIT,
    ScheduleError,
    calendar_of,
    make_config,
    missing_night,
    render_units,
    timer_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._backup_schedule_plan import (
    CONFIG,
    SECRETS,
    SECTION,
    Installed,
    Step,
)
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import (
    ETC,
    LIB,
    UNITS,
    File,
    as_json,
    build_engine,
    needed_sources,
    retire,
    version,
)
from ansible_collections.runbook.ops.plugins.module_utils._engine_host import (
    EngineHost,
    python_of_host,
    read_source,
    write,
)

STAMPS = "var/lib/systemd/timers"


class Host(EngineHost):
    """The host that the module runs on."""

    tells = "backup.pyz"

    def wanted(self, options: Mapping[str, Any]) -> Installed:
        """Return what ``options`` ask for, whatever is there now; without crontabs."""
        if options["state"] == "absent" or not options["jobs"]:
            return Installed()
        config, secrets = make_config(options)
        start = _backup_job_run.__name__  # imported so that Ansible sends it, and all that it imports
        engine = build_engine(needed_sources(read_source, start), MAIN)
        name = f"backup-{version(engine)}.pyz"
        units = render_units(
            options["jobs"], python=python_of_host(), engine=str(self.root / LIB / name), options=options
        )
        files = {
            SECRETS: File(as_json(secrets), 0o600),
            CONFIG: File(as_json(config), 0o600),
            f"{LIB}/{name}": File(engine, 0o644),
            **{f"{UNITS}/{unit}": File(text.encode(), 0o644) for unit, text in units.items()},
        }
        return Installed(files, name, timers=sorted(timer_of(job["name"]) for job in options["jobs"]))

    def observe(self) -> Installed:
        """Return what is there."""
        timers = sorted(path.name for path in (self.root / UNITS).glob(f"{UNIT}?*.timer"))
        paths = [SECRETS, CONFIG, *self.engines("backup-*.pyz"), *(f"{UNITS}/{unit}" for unit in (*timers, SERVICE))]
        stamps = (self.root / STAMPS).glob(f"stamp-{UNIT}*.timer")
        return Installed(
            {path: found for path in paths if (found := self.read(path))},
            self.current(),
            timers=[name for name in timers if self._runs(name)],
            crontabs=self.crontabs(),
            leftovers=sorted(str(path.relative_to(self.root)) for path in stamps),
        )

    def _runs(self, timer: str) -> bool:
        state = self.systemctl("show", timer, "--property=UnitFileState,ActiveState").split()
        return {"UnitFileState=enabled", "ActiveState=active"} <= set(state)

    def try_out(self, options: Mapping[str, Any], wanted: Installed) -> None:
        """Let the new engine read the new configuration, and systemd the calendars, before any of it is in use.

        :raises ScheduleError: one refuses it.
        """
        for job in options["jobs"]:
            calendar = calendar_of(job, options["time_zone"])
            try:
                self.program("systemd-analyze")("calendar", calendar)
            except CommandError as exc:
                raise ScheduleError(
                    f"the calendar {calendar!r} of the job {job['name']} is none that systemd knows ({exc}); nothing was changed"
                ) from None
        with tempfile.TemporaryDirectory(prefix="runbook-ops-") as folder:
            paths = {}
            for path in (CONFIG, SECRETS, f"{LIB}/{wanted.current}"):
                paths[path] = Path(folder) / Path(path).name
                write(paths[path], wanted.files[path])
            engine = paths[f"{LIB}/{wanted.current}"]
            try:
                self.program(python_of_host())("-I", str(engine), "check", str(paths[CONFIG]), str(paths[SECRETS]))
            except CommandError as exc:
                raise ScheduleError(f"the engine refuses its configuration ({exc}); nothing was changed") from None

    def apply(self, before: Installed, steps: Sequence[Step]) -> None:
        """Do ``steps``; where one fails, put back the files that were there before.

        :raises ScheduleError: one failed.
        """
        try:
            for step in steps:
                self._do(step)
        except (CommandError, OSError) as exc:
            reason = f"{exc.filename}: {exc.strerror}" if isinstance(exc, OSError) else str(exc)
            if before.files and any(step.verb == "write" for step in steps):
                self._put_back(before)
                raise ScheduleError(f"{reason}. What was installed before is back in place") from exc
            raise ScheduleError(f"{reason}. Remove the cause and run again: it goes on from here") from exc

    def _do(self, step: Step) -> None:
        if step.verb == "write":
            self.write(step.path, step.content)
        elif step.verb == "link":
            self.link(step.path)
        elif step.verb == "unlink":
            self.unlink()
        elif step.verb == "remove":
            self.remove(step.path)
            self.remove_empty(LIB, ETC)
        elif step.verb == "crontab":
            self.write_crontab(step.path, step.content)
        elif step.verb == "reload":
            self.systemctl("daemon-reload")
        elif step.verb == "enable":
            self.systemctl("enable", step.path)
            self.systemctl("restart", step.path)
        elif step.verb == "disable":
            service = step.path.replace(".timer", ".service")
            self.systemctl("disable", "--now", step.path)
            self.systemctl("stop", service)
            with contextlib.suppress(CommandError):  # it has not failed, so there is nothing to forget
                self.systemctl("reset-failed", service)

    def _put_back(self, before: Installed) -> None:
        for path, file in before.files.items():
            self.write(path, file)
        if before.current:
            self.link(before.current)
        with contextlib.suppress(CommandError):  # what fails now failed before, and that is what is told
            self.systemctl("daemon-reload")
            for timer in before.timers:
                self.systemctl("enable", timer)
                self.systemctl("restart", timer)


def judge(options: Mapping[str, Any], installed: Installed, *, today: date) -> list[dict[str, Any]]:
    """Return what is wrong around the jobs: lines of cron that do the same, and a night that is left out."""
    if options["state"] == "absent" or not options["jobs"]:
        return []
    checks = [
        make_check(
            f"backup_schedule:cron:{path}:{number}",
            name=f"cron in /{path}",
            section=SECTION,
            status="warning",
            detail=f"backs up as well: {line}",
            remedy="set backup_schedule_replace_cron to comment it out",
        )
        for path, text in installed.crontabs.items()
        for number, line in enumerate(retire(text, options["replaces"], MARK)[1])
    ]
    for job in options["jobs"]:
        calendar = calendar_of(job, options["time_zone"])
        night = missing_night(calendar, today)
        if night:
            checks.append(
                make_check(
                    f"backup_schedule:night:{job['name']}",
                    name=f"Calendar of {job['name']}",
                    section=SECTION,
                    status="warning",
                    detail=f"{calendar} does not exist on {night}, when the clocks change: there is no backup in that night",
                    remedy="choose another hour, or write UTC behind it",
                )
            )
    return checks
