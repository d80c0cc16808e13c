# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calendar of a system as it is installed on a machine. Private to this collection."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _schedule as made
from ansible_collections.runbook.ops.plugins.module_utils import _schedule_run
from ansible_collections.runbook.ops.plugins.module_utils._account import (
    PATH,
    AccountError,
    account_of,
    acting_as,
    program_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import (
    ETC,
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
from ansible_collections.runbook.ops.plugins.module_utils._schedule import ScheduleError


def unreadable(options: Mapping[str, Any]) -> list[str]:
    """Return those files that the runs are given and this process cannot read: inventories, the one of the vault's password."""
    above = Path(options["directory"])
    given = [name for name in options["inventory"] if "," not in name]  # which are hosts themselves
    given += [options["vault_password_file"]] if options["vault_password_file"] else []
    return [str(above / name) for name in given if not os.access(above / Path(name).expanduser(), os.R_OK)]


class Host(EngineHost):
    """The machine that the module runs on; of the calendars on it, that of one system."""

    own = (LIB, ETC, made.STATE, str(Path(made.STATE).parent))

    def __init__(self, program: Any, system: str, *, root: str = "/") -> None:
        """Prepare to look."""
        super().__init__(program, root=root)
        self.system, self.tells = system, f"schedule-{system}.pyz"

    def wanted(self, options: Mapping[str, Any]) -> Installed:
        """Return what ``options`` ask for, whatever is there now.

        :raises ScheduleError: an entry is none.
        """
        config = made.make_config(options)
        if options["state"] == "absent" or not config["entries"]:
            return Installed()
        start = _schedule_run.__name__  # imported so that Ansible sends it, and all that it imports
        engine = build_engine(needed_sources(read_source, start), made.MAIN)
        name = f"schedule-{self.system}-{version(engine)}.pyz"
        path = made.config_of(self.system)
        places = {"python": python_of_host(), "engine": str(self.root / LIB / name), "path": str(self.root / path)}
        files = {path: File(as_json(config), 0o644), f"{LIB}/{name}": File(engine, 0o644)}
        if options["schedule_with"] == "cron":
            files[made.cron_of(self.system)] = File(made.render_cron(**places).encode(), 0o644)
            return Installed(files, name)
        units = made.render_units(config, **places)
        files.update({f"{UNITS}/{unit}": File(text.encode(), 0o644) for unit, text in units.items()})
        return Installed(files, name, timers=sorted(unit for unit in units if unit.endswith(".timer")))

    def observe(self) -> Installed:
        """Return what is there."""
        unit = made.unit_of(self.system)
        timers = sorted(path.name for path in (self.root / UNITS).glob(f"{unit}?*.timer"))
        engines = made.owned(self.engines(f"schedule-{self.system}-*.pyz"), self.system)
        units = [f"{UNITS}/{name}" for name in (*timers, f"{unit}.service")]
        paths = [made.config_of(self.system), *engines, made.cron_of(self.system), *units]
        stamps = (self.root / STAMPS).glob(f"stamp-{unit}*.timer")
        results = [
            path
            for path in (f"{made.STATE}/{self.system}", f"{made.SPARE}/{self.system}")
            if (self.root / path).is_dir()
        ]
        on, stale = self.states(timers)
        return Installed(
            {path: found for path in paths if (found := self.read(path))},
            self.current(),
            timers=on,
            leftovers=[*sorted(str(path.relative_to(self.root)) for path in stamps), *results],
            partials=self.partials(unit),
            stale=stale,
        )

    def try_out(self, options: Mapping[str, Any], wanted: Installed) -> None:
        """Let the new engine read the new configuration, and systemd the calendars, before any of it is in use.

        :raises ScheduleError: one refuses it.
        """
        lines = [
            line
            for path, file in wanted.files.items()
            if path.endswith(".timer")
            for line in file.content.decode().splitlines()
        ]
        for calendar in dict.fromkeys(line.partition("=")[2] for line in lines if line.startswith("OnCalendar=")):
            try:
                self.program("systemd-analyze")("calendar", calendar)
            except CommandError as exc:
                raise ScheduleError(
                    f"systemd does not know the calendar {calendar!r} ({exc}); nothing was changed"
                ) from None
        if not Path(options["directory"]).is_dir():
            raise ScheduleError(
                f"there is no directory {options['directory']}: bring the project here; nothing was changed"
            )
        try:
            account = account_of(options["user"])
            lacking = acting_as(account, lambda: unreadable(options))
            program_of(options["command"][0], options["environment"].get("PATH", PATH))
        except AccountError as exc:
            hint = " of environment, or name it by its path" if "on the PATH" in str(exc) else ""
            raise ScheduleError(f"{exc}{hint}; nothing was changed") from None
        if lacking:
            raise ScheduleError(
                f"{lacking[0]} is not there, or {account.name} may not read it: the runs would fail; nothing was changed"
            )
        with self.trial() as folder:
            config, engine = folder / "config.json", folder / "engine.pyz"
            write(config, wanted.files[made.config_of(self.system)])
            write(engine, wanted.files[f"{LIB}/{wanted.current}"])
            try:
                self.program(python_of_host())("-I", str(engine), "check", str(config))
            except CommandError as exc:
                raise ScheduleError(f"the engine refuses its configuration ({exc}); nothing was changed") from None
