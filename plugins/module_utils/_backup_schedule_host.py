# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup jobs as they are installed on a host. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _backup_job_run
from ansible_collections.runbook.ops.plugins.module_utils._backup_schedule import (
    MAIN,
    SERVICE,
    UNIT,
    ScheduleError,
    calendar_of,
    make_config,
    render_units,
    timer_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._backup_schedule_plan import CONFIG, SECRETS
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import (
    LIB,
    UNITS,
    File,
    as_json,
    build_engine,
    needed_sources,
    version,
)
from ansible_collections.runbook.ops.plugins.module_utils._engine_host import (
    STAMPS,
    EngineHost,
    python_of_host,
    read_source,
    write,
)
from ansible_collections.runbook.ops.plugins.module_utils._engine_plan import Installed


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
        on, stale = self.states(timers)
        return Installed(
            {path: found for path in paths if (found := self.read(path))},
            self.current(),
            timers=on,
            crontabs=self.crontabs(),
            leftovers=sorted(str(path.relative_to(self.root)) for path in stamps),
            partials=self.partials(UNIT),
            stale=stale,
        )

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
        with self.trial() as folder:
            paths = {}
            for path in (CONFIG, SECRETS, f"{LIB}/{wanted.current}"):
                paths[path] = folder / Path(path).name
                write(paths[path], wanted.files[path])
            engine = paths[f"{LIB}/{wanted.current}"]
            try:
                self.program(python_of_host())("-I", str(engine), "check", str(paths[CONFIG]), str(paths[SECRETS]))
            except CommandError as exc:
                raise ScheduleError(f"the engine refuses its configuration ({exc}); nothing was changed") from None
