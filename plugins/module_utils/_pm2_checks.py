# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether PM2 itself is current. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import SECTION

NUMBERS = re.compile(r"\d+")


def version_key(version: str) -> tuple[int, ...]:
    """Return ``version`` for comparison by its numbers: ``7.0.10`` comes after ``7.0.9``."""
    return tuple(int(number) for number in NUMBERS.findall(version.partition("-")[0])[:3])


def version_checks(
    daemon: str | None,
    installed: str | None,
    *,
    user: str,
    latest: str | None = None,
    asked: bool = False,
    reasons: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return the checks of PM2 itself: the daemon runs what is installed, and nothing newer is published.

    :param asked: whether the registry was asked for ``latest``; if not, there is no check of it
    :param reasons: why the daemon should be restarted besides
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
                status="warning" if old or reasons else "ok",
                value=daemon,
                limit=installed,
                detail="; it ".join([detail, *reasons]),
                remedy=f"In a quiet hour run `pm2 update` as {user}: it restarts every application of that account",
            )
        )
    if asked and installed:
        status, detail = "ok", f"{installed} is the newest"
        remedy = f"Read its changes, then install pm2@{latest} with npm and run `pm2 update`"
        if latest is None:
            status, detail = "unknown", f"{installed} is installed; the package registry could not be asked"
            remedy = "See by hand what is published (npm view pm2 version), or let this host reach the registry"
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
                remedy=remedy,
            )
        )
    return checks
