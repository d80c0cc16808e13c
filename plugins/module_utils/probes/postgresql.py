# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL database: reachable, connections left, no transaction left open. Private to this collection."""

from __future__ import annotations

import os
import re
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import run_program
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

SECTION = "Databases"
OPTIONS = {
    "database": Option("str", "the database to connect to", required=True),
    "host": Option("str", "host, or directory of the socket; without it the local socket"),
    "port": Option("int", "port"),
    "user": Option("str", "role to log in as; without it that of superuser, or of the account that asks"),
    "superuser": Option("str", "account on the host that asks over the local socket", "postgres"),
    "password": Option("secret", "name of the password among the secrets"),
    "connections_percent": Option(
        "limits", "sessions, in percent of those that ordinary roles can have", limits(80, 90)
    ),
    "transaction_seconds": Option("limits", "age of the oldest open transaction", limits(3600)),
    "idle_seconds": Option("limits", "how long a session idles within a transaction", limits(300, 3600)),
}
QUERY = """
SELECT json_build_object(
  'connections', (SELECT count(*) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
  'most', current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
  'transaction_seconds', (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)
    FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
  'idle_seconds', (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - state_change)), 0)
    FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'),
  'version', current_setting('server_version'));
"""
# The server answered, but not to us: that says nothing about its health.
NOT_FOR_US = re.compile(
    r"authentication failed|no pg_hba\.conf entry|role .* does not exist|permission denied|no password"
)


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return what the server says of its sessions, or ``error`` where it takes no connection."""
    local = not options["host"] or options["host"].startswith("/")
    timeout = options["timeout_seconds"]
    environment = {
        "PGHOST": options["host"],
        "PGPORT": options["port"] and str(options["port"]),
        "PGUSER": options["user"] or (options["superuser"] if local else None),
        "PGDATABASE": options["database"],
        "PGPASSWORD": options["password"],
        "PGCONNECT_TIMEOUT": str(max(2, int(timeout))),
        "PGOPTIONS": f"-c statement_timeout={int(timeout * 1000)}",
        "PGAPPNAME": "runbook.ops health",
    }
    done = run_program(
        [find_psql(), "-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"],
        stdin=QUERY,
        user=options["superuser"] if local else None,
        environment={key: value for key, value in environment.items() if value},
        timeout_seconds=timeout,
    )
    if done.code != 0:
        # The first line says what happened; psql goes on with questions that do not help here.
        said = (done.err.strip() or "psql said nothing").splitlines()[0].replace("psql: error: ", "")
        if done.code != 2 or NOT_FOR_US.search(done.err):
            raise ProbeError(f"PostgreSQL did not tell: {said}", "correct user, superuser or password")
        return {"error": said}
    import json  # noqa: PLC0415  # loaded while psql works

    return {"error": None, **json.loads(done.out)}


def find_psql() -> str:
    """Return psql itself: Debian's /usr/bin/psql is a Perl script that takes longer than the question."""
    root = "/usr/lib/postgresql"
    try:
        versions = sorted((name for name in os.listdir(root) if name.isdigit()), key=int, reverse=True)  # noqa: PTH208
    except OSError:
        versions = []
    paths = (f"{root}/{version}/bin/psql" for version in versions)
    return next((path for path in paths if os.access(path, os.X_OK)), "psql")


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of the connections, and one of open transactions."""
    name, section = options["name"] or options["database"], options["section"]
    identity = f"postgresql:{name}"
    if measured["error"]:
        remedy = "read pg_lsclusters and the server's log"
        return [
            make_check(identity, name=name, section=section, status="critical", detail=measured["error"], remedy=remedy)
        ]
    percent = round(100 * measured["connections"] / max(1, measured["most"]), 1)
    status, limit = judge_high(percent, **options["connections_percent"])
    connections = make_check(
        identity,
        name=f"{name} connections",
        section=section,
        status=status,
        value=percent,
        unit="%",
        limit=limit,
        detail=f"{measured['connections']} of {measured['most']} in use, PostgreSQL {measured['version'].split()[0]}",
        remedy="see who holds them: SELECT usename, state, count(*) FROM pg_stat_activity GROUP BY 1, 2",
    )
    oldest, idle = round(measured["transaction_seconds"], 1), round(measured["idle_seconds"], 1)
    by_age, by_idle = judge_high(oldest, **options["transaction_seconds"]), judge_high(idle, **options["idle_seconds"])
    is_idle = ("ok", "warning", "critical").index(by_idle[0]) > ("ok", "warning", "critical").index(by_age[0])
    (status, limit), value = (by_idle, idle) if is_idle else (by_age, oldest)
    detail = (
        f"oldest {human_duration(oldest)}, longest idle in one {human_duration(idle)}" if oldest else "none is open"
    )
    return [
        connections,
        make_check(
            f"{identity}:transactions",
            name=f"{name} transactions",
            section=section,
            status=status,
            value=value,
            unit="s",
            limit=limit,
            detail=detail,
            remedy="it keeps dead rows from being removed: find it in pg_stat_activity by xact_start, and end it",
        ),
    ]
