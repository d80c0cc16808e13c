# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL database: reachable, connections left, no transaction left open. Private to this collection."""

from __future__ import annotations

import os
import re
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import Done, run_program
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SECTION = "Databases"
OPTIONS = {
    "database": Option("str", "the database to connect to", required=True),
    "host": Option("str", "host, or directory of the socket; without it the local socket"),
    "port": Option("int", "port"),
    "user": Option("str", "role to log in as; without it that of superuser, or of the account that asks"),
    "superuser": Option("str", "account on the host that asks over the local socket", "postgres"),
    "password": Option("secret", "name of the password among the secrets"),
    "container": Option("str", "container that it runs in: it is asked there, over its local socket"),
    "project": Option("str", "Compose project of that container, instead of its name"),
    "service": Option("str", "service within project"),
    "connections_percent": Option(
        "limits", "sessions, in percent of those that ordinary roles can have", limits(80, 90)
    ),
    "transaction_seconds": Option("limits", "age of the oldest open transaction", limits(3600)),
    "idle_seconds": Option("limits", "how long a session idles within a transaction", limits(300, 3600)),
    "lag_seconds": Option("limits", "how far a standby is behind, on either side", limits(60, 600)),
    "slot_bytes": Option(
        "limits", "WAL that is kept for a replication slot that nobody reads", limits(1 << 30, 10 << 30)
    ),
}
QUERY = """
SELECT /* runbook.ops */ json_build_object(
  'connections', (SELECT count(*) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
  'most', current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
  'transaction_seconds', (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)
    FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
  'idle_seconds', (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - state_change)), 0)
    FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'),
  'standbys', (SELECT count(*) FROM pg_stat_replication),
  'lag_seconds', CASE
    WHEN NOT pg_is_in_recovery()
      THEN (SELECT max(extract(epoch FROM replay_lag)) FROM pg_stat_replication)
    -- With nothing to replay, the last transaction is old, and the standby is not behind.
    WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
    ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END,
  'standby', pg_is_in_recovery(),
  'slot_bytes', (SELECT max(pg_wal_lsn_diff(
      CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, restart_lsn))
    FROM pg_replication_slots WHERE NOT active),
  'version', current_setting('server_version'));
"""
TROUBLE = re.compile(r"\b(?:ERROR|FATAL|error):")
# The server answered, but not to us: that says nothing about its health.
NOT_FOR_US = re.compile(
    r"authentication failed|no pg_hba\.conf entry|role .* does not exist|permission denied|no password"
)
# It runs, and has no room: 53300 of PostgreSQL, in the words of versions 9 to 18.
FULL = re.compile(r"too many clients|remaining connection slots are reserved|too many connections for")


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return what the server says of its sessions, or ``error`` where it takes no connection."""
    timeout = options["timeout_seconds"]
    settings = {"statement_timeout": int(timeout * 1000)}
    done = run_psql(options, QUERY, settings, application="runbook.ops health", timeout_seconds=timeout)
    if done.code != 0:
        # Docker tells on the standard output why it could not even start psql.
        said = reason(done.err.strip() or done.out)
        if done.code != 2 or NOT_FOR_US.search(done.err):
            raise ProbeError(f"PostgreSQL did not tell: {said}", "correct user, superuser or password")
        return {"error": said}
    import json  # noqa: PLC0415  # loaded while psql works

    return {"error": None, **json.loads(done.out)}


def run_psql(
    options: dict[str, Any],
    script: str,
    settings: dict[str, Any],
    *arguments: str,
    application: str,
    timeout_seconds: float,
) -> Done:
    """Return how psql ended with ``script``, on the host or in the container, in a session with ``settings``."""
    inside = options["container"] or options["service"]
    local = not inside and (not options["host"] or options["host"].startswith("/"))
    environment = {
        "PGHOST": None if inside else options["host"],
        "PGPORT": None if inside or not options["port"] else str(options["port"]),
        "PGUSER": options["user"] or (options["superuser"] if local or inside else None),
        "PGDATABASE": options["database"],
        "PGPASSWORD": options["password"],
        "PGCONNECT_TIMEOUT": str(max(2, int(timeout_seconds))),
        "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        "PGAPPNAME": application,
        "PGTZ": "UTC",
    }
    given = {key: value for key, value in environment.items() if value}
    client = [*within(options, given), "psql"] if inside else [find_psql()]
    return run_program(
        [*client, "-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *arguments],
        stdin=script,
        user=options["superuser"] if local else None,
        environment=given,
        timeout_seconds=timeout_seconds,
    )


def reason(said: str) -> str:
    """Return the line that tells why psql failed: warnings may stand before it, and questions that do not help here behind it."""
    lines = said.strip().splitlines() or ["psql said nothing"]
    return next((line for line in lines if TROUBLE.search(line)), lines[0]).replace("psql: error: ", "")


def within(options: dict[str, Any], environment: dict[str, str]) -> list[str]:
    """Return what runs a program in the container: values of the environment are named, never written, in the arguments."""
    from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, container_name  # noqa: PLC0415

    try:
        name = container_name(**{key: options[key] for key in ("project", "service", "container")})
    except DockerError as exc:
        raise ProbeError(str(exc), "see what runs: docker ps --all") from exc
    return ["docker", "exec", "--interactive", *(f"--env={key}" for key in environment), name]


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
        down = make_check(
            identity, name=name, section=section, status="critical", detail=measured["error"], remedy=remedy
        )
        return [_full(down, options) if FULL.search(measured["error"]) else down]
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
        *judge_replication(measured, options, name),
    ]


def _full(down: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return the check of a server that has no connection left, not even for who looks."""
    percent = options["connections_percent"]
    said = down["detail"].rpartition("FATAL:")[2].strip()
    return {
        **down,
        "name": f"{down['name']} connections",
        "value": 100.0,
        "unit": "%",
        "limit": percent["warning"] if percent["critical"] is None else percent["critical"],
        "detail": f"none is left, not even for this look: {said}",
        "remedy": "end who holds them, the application with most first: ps -o pid,etimes,args -C postgres shows each",
    }


def judge_replication(measured: dict[str, Any], options: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a check of the standbys and one of idle slots, each only where there are any."""
    checks, section = [], options["section"]
    if measured["standby"] or measured["standbys"]:
        behind = round(measured["lag_seconds"] or 0, 1)
        status, limit = judge_high(behind, **options["lag_seconds"])
        role = "a standby" if measured["standby"] else f"{measured['standbys']} standbys"
        checks.append(
            make_check(
                f"postgresql:{name}:replication",
                name=f"{name} replication",
                section=section,
                status=status,
                value=behind,
                unit="s",
                limit=limit,
                detail=f"{role}, {human_duration(behind)} behind",
                remedy="see why: SELECT * FROM pg_stat_replication on the primary",
            )
        )
    if measured["slot_bytes"] is not None:
        status, limit = judge_high(measured["slot_bytes"], **options["slot_bytes"])
        checks.append(
            make_check(
                f"postgresql:{name}:slots",
                name=f"{name} idle slots",
                section=section,
                status=status,
                value=measured["slot_bytes"],
                unit="bytes",
                limit=limit,
                detail=f"{human_size(measured['slot_bytes'])} of WAL are kept for a slot that nobody reads",
                remedy="start its reader, or drop it: SELECT slot_name FROM pg_replication_slots WHERE NOT active",
            )
        )
    return checks
