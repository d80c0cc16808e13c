# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor as it is installed on a host: its files, its timer, the lines of cron it replaces. Private to this collection."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _monitor_install as made
from ansible_collections.runbook.ops.plugins.module_utils import _monitor_run
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._engine_apply import EngineError
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import ETC, LIB, UNITS, File, as_json, version
from ansible_collections.runbook.ops.plugins.module_utils._engine_host import (
    EngineHost,
    python_of_host,
    read_source,
    write,
)
from ansible_collections.runbook.ops.plugins.module_utils._engine_plan import Installed
from ansible_collections.runbook.ops.plugins.module_utils._monitor_plan import CONFIG, SECRETS

VAR, RUN = "var/lib/runbook-ops/monitor", "run/runbook-ops-monitor"
STAMP = "var/lib/systemd/timers/stamp-runbook-ops-monitor.timer"
SEND_SECONDS = 60  # what sending and writing may take beside looking
TELLS = "monitor.pyz"


class MonitorError(EngineError):
    """The monitor could not be installed, changed or removed; the message says what is there now."""


class Host(EngineHost):
    """The host that the module runs on."""

    tells = TELLS
    own = (LIB, ETC, str(Path(VAR).parent))

    def wanted(self, options: Mapping[str, Any]) -> Installed:
        """Return what ``options`` ask for, whatever is there now; without crontabs."""
        if options["state"] == "absent":
            return Installed()
        config, secrets = made.make_config(options, hostname=socket.gethostname())
        start = _monitor_run.__name__  # imported so that Ansible sends it, and all that it imports
        engine = made.build_engine(made.needed_sources(read_source, start))
        name = f"monitor-{version(engine)}.pyz"
        hidden = as_json(secrets)
        config["digest"] = version(as_json(config) + hidden + engine)
        units = made.render_units(
            python=python_of_host(),
            engine=str(self.root / LIB / name),
            interval_seconds=options["interval_seconds"],
            limit_seconds=int(options["timeout_seconds"]) + SEND_SECONDS,
        )
        files = {
            SECRETS: File(hidden, 0o600),
            CONFIG: File(as_json(config), 0o600),
            f"{LIB}/{name}": File(engine, 0o644),
            **{f"{UNITS}/{unit}": File(text.encode(), 0o644) for unit, text in units.items()},
        }
        return Installed(files, name, timers=[made.TIMER])

    def observe(self) -> Installed:
        """Return what is there."""
        paths = [SECRETS, CONFIG, *self.engines("monitor-*.pyz"), *(f"{UNITS}/{unit}" for unit in made.UNITS)]
        files = {path: found for path in paths if (found := self.read(path))}
        on, stale = self.states([made.TIMER])
        return Installed(
            files,
            self.current(),
            timers=on,
            crontabs=self.crontabs(),
            leftovers=[path for path in (VAR, RUN, STAMP, *self._textfile(files)) if (self.root / path).exists()],
            partials=self.partials("runbook-ops-monitor"),
            stale=stale,
        )

    def try_out(self, wanted: Installed) -> None:
        """Let the new engine read the new configuration, before either is in use.

        :raises MonitorError: it refuses it.
        """
        with self.trial() as folder:
            paths = {}
            for path, file in wanted.files.items():
                paths[path] = folder / Path(path).name
                write(paths[path], file)
            engine = paths[f"{LIB}/{wanted.current}"]
            try:
                self.program(python_of_host())("-I", str(engine), "check", str(paths[CONFIG]), str(paths[SECRETS]))
            except CommandError as exc:
                raise MonitorError(f"the engine refuses its configuration ({exc}); nothing was changed") from None

    def digest_of_config(self) -> str:
        """Return what the configuration is known by."""
        return str(json.loads((self.root / CONFIG).read_text(encoding="utf-8"))["digest"])

    def digest_of_last_run(self) -> str | None:
        """Return which configuration the last whole run had."""
        newest: dict[str, Any] = {}
        for folder in (VAR, RUN):
            with contextlib.suppress(OSError, ValueError):
                state = json.loads((self.root / folder / "state.json").read_text(encoding="utf-8"))
                newest = max(newest, state, key=lambda one: one.get("saved", 0))
        return newest.get("config")

    def _textfile(self, files: Mapping[str, File]) -> list[str]:
        try:
            path = json.loads(files[CONFIG].content)["textfile"] if CONFIG in files else None
        except (ValueError, KeyError, TypeError):
            path = None
        return [str(path).lstrip("/")] if path else []
