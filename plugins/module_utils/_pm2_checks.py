# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether PM2's applications are well, and PM2 itself is current. Private to this collection."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import App
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

SECTION = "Services"
RECOVERED_SECONDS = 60  # PM2 goes on counting unstable restarts of an application that has long recovered
NUMBERS = re.compile(r"\d+")


def version_key(version: str) -> tuple[int, ...]:
    """Return ``version`` for comparison by its numbers: ``7.0.10`` comes after ``7.0.9``."""
    return tuple(int(number) for number in NUMBERS.findall(version.partition("-")[0])[:3])


def app_check(app: App, now: float) -> dict[str, Any]:
    """Return the check of one application: all instances online, and none of them in a crash loop."""
    up = app.uptime_seconds(now)
    status, detail = "critical", f"{app.name} is {app.status}"
    if app.status == "mixed":
        detail = f"{len(app.down_ids)} of {app.instances} instances do not run"
    if app.status == "online":
        status, detail = "ok", f"instances {app.instances}, up {human_duration(up or 0)}, restarts {app.restarts}"
        if app.unstable_restarts and (up or 0) < RECOVERED_SECONDS:
            status, detail = "critical", f"{detail}; crash loop: {app.unstable_restarts} unstable restarts in a row"
    return make_check(
        f"pm2:{app.name}",
        name=app.name,
        section=SECTION,
        status=status,
        value=app.status,
        limit="online",
        detail=detail,
        remedy=f"Read the end of {app.error_log}, then start it with runbook.ops.pm2",
    )


def version_checks(
    daemon: str | None, installed: str | None, *, user: str, latest: str | None = None, asked: bool = False
) -> list[dict[str, Any]]:
    """Return the checks of PM2 itself: the daemon runs what is installed, and nothing newer is published.

    :param asked: whether the registry was asked for ``latest``; if not, there is no check of it
    """
    checks = []
    if daemon and installed:
        old = version_key(daemon) < version_key(installed)
        detail = f"the daemon of {user} still runs {daemon}, installed is {installed}" if old else f"runs {daemon}"
        checks.append(
            make_check(
                f"pm2-daemon:{user}",
                name="PM2 daemon",
                section=SECTION,
                status="warning" if old else "ok",
                value=daemon,
                limit=installed,
                detail=detail,
                remedy=f"In a quiet hour run `pm2 update` as {user}: it restarts every application of that account",
            )
        )
    if asked and installed:
        status, detail = "ok", f"{installed} is the newest"
        if latest is None:
            status, detail = "unknown", f"{installed} is installed; the package registry could not be asked"
        elif version_key(latest) > version_key(installed):
            status, detail = "warning", f"{installed} is installed, {latest} is published"
        checks.append(
            make_check(
                "pm2-published",
                name="PM2 release",
                section=SECTION,
                status=status,
                value=installed,
                limit=latest,
                detail=detail,
                remedy=f"Read its changes, then install pm2@{latest or 'latest'} with npm and run `pm2 update`",
            )
        )
    return checks
