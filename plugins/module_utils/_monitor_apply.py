# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the monitor of a host from what it is to what it is to be, or back. Private to this collection."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _monitor_install as made
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._monitor_host import VAR, Host, MonitorError
from ansible_collections.runbook.ops.plugins.module_utils._monitor_plan import CONFIG, LIB, Installed, Step
from ansible_collections.runbook.ops.plugins.module_utils._notify import SENDMAIL


def apply(host: Host, before: Installed, steps: Sequence[Step]) -> None:
    """Do ``steps``; where one fails, put back what was there before.

    :raises MonitorError: one failed.
    """
    try:
        for step in steps:
            _do(host, step)
    except (CommandError, MonitorError, OSError) as exc:
        reason = f"{exc.filename}: {exc.strerror}" if isinstance(exc, OSError) else str(exc)
        if before.files and any(step.verb == "write" for step in steps):
            _put_back(host, before)
            raise MonitorError(f"{reason}. What was installed before is back in place") from exc
        raise MonitorError(f"{reason}. Remove the cause and run again: it goes on from here") from exc


def _do(host: Host, step: Step) -> None:
    if step.verb == "write":
        host.write(step.path, step.content)
    elif step.verb == "link":
        host.link(step.path)
    elif step.verb == "unlink":
        host.unlink()
    elif step.verb == "remove":
        host.remove(step.path)
        host.remove_empty(LIB, str(Path(CONFIG).parent), str(Path(VAR).parent))
    elif step.verb == "crontab":
        host.write_crontab(step.path, step.content)
    elif step.verb == "reload":
        host.systemctl("daemon-reload")
    elif step.verb == "enable":
        host.systemctl("enable", made.TIMER)
        host.systemctl("restart", made.TIMER)
    elif step.verb == "disable":
        host.systemctl("disable", "--now", made.TIMER)
        host.systemctl("stop", made.SERVICE)
    elif step.verb == "run":
        _run_once(host)


def _run_once(host: Host) -> None:
    """Run the new engine with the new configuration, and see that it came to its end.

    :raises MonitorError: it did not.
    """
    found = host.digest_of_config()
    for _attempt in range(2):  # the first may have waited for a run of the old one that was under way
        try:
            host.systemctl("start", made.SERVICE)
        except CommandError:
            break
        if host.digest_of_last_run() == found:
            return
    raise MonitorError(f"a first run failed: journalctl -u {made.SERVICE} -n 20 says why")


def _put_back(host: Host, before: Installed) -> None:
    for path, file in before.files.items():
        host.write(path, file)
    if before.current:
        host.link(before.current)
    with contextlib.suppress(CommandError):  # what fails now failed before, and that is what is told
        host.systemctl("daemon-reload")


def judge(options: Mapping[str, Any], installed: Installed) -> list[dict[str, Any]]:
    """Return what is wrong with the monitor, or around it."""
    if options["state"] == "absent":
        return []
    checks = []
    for path, text in installed.crontabs.items():
        for line in made.retire(text, options["replaces"])[1]:
            checks.append(
                make_check(
                    f"monitor:cron:{path}",
                    name=f"cron in /{path}",
                    section="Monitor",
                    status="warning",
                    detail=f"does the same as the monitor: {line}",
                    remedy="set monitoring_replace_cron to comment it out",
                )
            )
    folder = options["textfile_directory"]
    if folder and not Path(folder).is_dir():
        checks.append(
            _untold(
                f"{folder} does not exist: no metrics", "install node_exporter, or correct ops_monitoring", "metrics"
            )
        )
    sendmail = any(os.access(path, os.X_OK) for path in SENDMAIL)
    if not options["email"] and not options["webhook_url"]:
        checks.append(_untold("nobody is told of anything", "set ops_alerts.email or ops_alerts.webhook"))
    elif options["email"] and not options["smtp"] and not sendmail:
        checks.append(_untold("there is no sendmail on this host", "name a server in ops_alerts.smtp, or install one"))
    return checks


def _untold(detail: str, remedy: str, what: str = "receivers") -> dict[str, Any]:
    return make_check(
        f"monitor:{what}",
        name=f"Monitor: {what}",
        section="Monitor",
        status="warning",
        detail=detail,
        remedy=remedy,
    )
