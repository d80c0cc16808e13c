# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a script of SQL to psql, on the host or in a container, within its time. Private to this collection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import run_program
from ansible_collections.runbook.ops.plugins.module_utils.probes.postgresql import OPTIONS, find_psql, reason, within

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
    inside = options["container"] or options["service"]
    local = not inside and (not options["host"] or str(options["host"]).startswith("/"))
    limits = {
        "statement_timeout": int(timeout_seconds * 1000),
        "lock_timeout": 1000,
        "default_transaction_read_only": "on",
    }
    environment = {
        "PGHOST": None if inside else options["host"],
        "PGPORT": None if inside or not options["port"] else str(options["port"]),
        "PGUSER": options["user"] or (options["superuser"] if local or inside else None),
        "PGDATABASE": options["database"],
        "PGPASSWORD": options["password"],
        "PGCONNECT_TIMEOUT": str(max(2, int(timeout_seconds))),
        "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in limits.items()),
        "PGAPPNAME": application,
        "PGTZ": "UTC",
    }
    given = {key: value for key, value in environment.items() if value}
    client = [*within(options, given), "psql"] if inside else [find_psql()]
    done = run_program(
        [*client, "-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *arguments],
        stdin=script,
        user=options["superuser"] if local else None,
        environment=given,
        timeout_seconds=timeout_seconds + 0.5,
    )
    if done.code != 0:
        raise ProbeError(f"PostgreSQL did not tell: {reason(done.err)}", "ask by hand, with the same role")
    return done.out
