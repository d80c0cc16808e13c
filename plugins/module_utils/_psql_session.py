# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a script of SQL to psql, on the host or in a container, within its time. Private to this collection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils.probes.postgresql import OPTIONS, reason, run_psql

PLACE = {
    key: OPTIONS[key]
    for key in ("database", "host", "port", "user", "superuser", "password", "container", "project", "service")
}


def ask(
    options: dict[str, Any], script: str, *, timeout_seconds: float, application: str, arguments: Sequence[str] = ()
) -> str:
    """Return what psql prints; the session cannot write.

    :param options: those of :data:`PLACE`
    :raises ProbeError: the server is down, does not let us in, or refuses the statement; the message is one line.
    """
    settings = {
        "statement_timeout": int(timeout_seconds * 1000),
        "lock_timeout": 1000,
        "default_transaction_read_only": "on",
    }
    limit = timeout_seconds + 0.5
    done = run_psql(options, script, settings, *arguments, application=application, timeout_seconds=limit)
    if done.code != 0:
        raise ProbeError(f"PostgreSQL did not tell: {reason(done.err)}", "ask by hand, with the same role")
    return done.out
