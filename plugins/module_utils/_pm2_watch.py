# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at an application of PM2, and wait until it is stable. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pm2 import App, group
from ansible_collections.runbook.ops.plugins.module_utils._pm2_definition import differences, saved_apps
from ansible_collections.runbook.ops.plugins.module_utils._pm2_plan import Seen, Wish, gave_up, is_stable

POLL_SECONDS = 0.25


def look(host: Any, wish: Wish) -> Seen:
    """Return what PM2 and its saved list hold."""
    processes = host.processes()
    mine = [process for process in processes or [] if process.get("name") == wish.name]
    apps = group(processes or [])
    return Seen(
        running=processes is not None,
        apps=apps,
        saved=saved_apps(host.dump()),
        differs=differences(mine, wish.definition) if wish.definition is not None else (),
        other_daemons=() if wish.name in apps else tuple(host.other_daemons()),
    )


def settle(
    host: Any,
    name: str,
    *,
    stable_seconds: float,
    wait_timeout_seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> App:
    """Wait until the application is online and stable, and return it.

    :raises Pm2Error: PM2 gave it up, or it was not stable in time.
    """
    start, restarts = clock(), None
    while True:
        app = group(host.processes() or []).get(name, App(name))
        restarts = app.restarts if restarts is None else restarts
        if is_stable(app, now=clock(), stable_seconds=stable_seconds, restarts_before=restarts):
            return app
        if clock() - start >= wait_timeout_seconds:
            raise gave_up(app, restarts_before=restarts, waited_seconds=wait_timeout_seconds)
        sleep(POLL_SECONDS)
