# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the monitor of a host from what it is to what it is to be, or back. Private to this collection."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _engine_apply
from ansible_collections.runbook.ops.plugins.module_utils import _monitor_install as made
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._engine_apply import do_step
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import has_users
from ansible_collections.runbook.ops.plugins.module_utils._engine_host import EngineHost
from ansible_collections.runbook.ops.plugins.module_utils._engine_plan import Installed, Step
from ansible_collections.runbook.ops.plugins.module_utils._monitor_host import Host, MonitorError
from ansible_collections.runbook.ops.plugins.module_utils._monitor_plan import SECTION
from ansible_collections.runbook.ops.plugins.module_utils._notify import SENDMAIL
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor


def apply(host: Host, before: Installed, steps: Sequence[Step]) -> None:
    """Do ``steps``; where one fails, put back what was there before.

    :raises EngineError: one failed.
    """

    def do(_host: EngineHost, step: Step) -> None:
        if step.verb == "run":
            _run_once(host)
        else:
            do_step(host, step)

    _engine_apply.apply(host, before, steps, do)


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


def judge(options: Mapping[str, Any], installed: Installed) -> list[dict[str, Any]]:
    """Return what is wrong with the monitor, or around it."""
    if options["state"] == "absent":
        return []
    checks, tell = [], Redactor()  # a line may hold a password
    for path, text in installed.crontabs.items():
        for line in made.retire(text, options["replaces"], users=has_users(path))[1]:
            checks.append(
                make_check(
                    f"monitor:cron:{path}",
                    name=f"cron in /{path}",
                    section=SECTION,
                    status="warning",
                    detail=f"does the same as the monitor: {tell(line)}",
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
        section=SECTION,
        status="warning",
        detail=detail,
        remedy=remedy,
    )
