# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at work in PostgreSQL, MongoDB and Redis, without what they ask for. Private to this collection."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._diagnose import Found, table
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils._proc import Process, processes
from ansible_collections.runbook.ops.plugins.module_utils._psql_session import PLACE, ask
from ansible_collections.runbook.ops.plugins.module_utils._redact import normalise_sql
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration
from ansible_collections.runbook.ops.plugins.module_utils.probes import mongodb as mongodb_probe

TIMEOUT_SECONDS = 8
SESSIONS = r"""
SELECT json_build_object(
  'version', version(), 'started', pg_postmaster_start_time(), 'replica', pg_is_in_recovery(),
  'max_connections', current_setting('max_connections')::int,
  'reserved', current_setting('superuser_reserved_connections')::int,
  'states', (SELECT coalesce(json_agg(s), '[]') FROM (SELECT datname, usename, application_name, coalesce(state, backend_type) AS state,
     wait_event_type, count(*) AS sessions, round(max(extract(epoch FROM clock_timestamp() - xact_start)))::int AS transaction,
     round(max(extract(epoch FROM clock_timestamp() - state_change)))::int AS since
     FROM pg_stat_activity WHERE pid <> pg_backend_pid() GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC LIMIT 60) s),
  'clients', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
  'busy', (SELECT coalesce(json_agg(b), '[]') FROM (SELECT pid, usename, state, wait_event_type, wait_event,
     round(extract(epoch FROM clock_timestamp() - xact_start))::int AS transaction,
     round(extract(epoch FROM clock_timestamp() - query_start))::int AS query_seconds,
     pg_blocking_pids(pid) AS blocked_by, left(query, 2000) AS query
     FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND xact_start IS NOT NULL
     ORDER BY xact_start LIMIT 40) b),
  'databases', (SELECT coalesce(json_agg(d), '[]') FROM (SELECT datname, numbackends, xact_commit, xact_rollback, deadlocks, conflicts,
     temp_bytes, stats_reset FROM pg_stat_database WHERE datname IS NOT NULL ORDER BY numbackends DESC LIMIT 20) d),
  'replication', (SELECT coalesce(json_agg(r), '[]') FROM (SELECT application_name, state, sync_state, replay_lag FROM pg_stat_replication LIMIT 20) r));
"""
MOST_OPERATIONS = 60
MOST_SESSIONS = 120


def postgresql(options: dict[str, Any]) -> Found:
    """Collect sessions by state, open transactions and who waits for whom."""
    asked = given_options("postgresql", options, PLACE)
    try:
        said = ask(asked, SESSIONS, timeout_seconds=TIMEOUT_SECONDS, application="runbook.ops diagnose")
    except ProbeError as exc:
        # With no connection left, or the server ill, its processes still say in their titles who does what.
        return Found(titles(processes().values(), time.time()), error=str(exc))
    return told(json.loads(said))


def titles(found: Iterable[Process], now: float) -> str:
    """Return the sessions that the titles of PostgreSQL's processes tell of, ``postgres: user database host STATEMENT``."""
    own = [one for one in found if one.title.startswith("postgres: ")]
    kinds = Counter(re.sub(r"\(\d+\)|\d+", "#", one.title[10:]) for one in own)
    rows = [
        [one.pid, human_duration(max(0, round(now - one.started_at))), one.title[10:]] for one in own[:MOST_SESSIONS]
    ]
    if not rows:
        return "no process of PostgreSQL is seen"
    parts = [
        table(["processes", "what"], [(count, what) for what, count in kinds.most_common(20)]),
        table(["pid", "age", "what"], rows),
    ]
    return "\n\n".join(parts)


def given_options(probe: str, options: dict[str, Any], known: Mapping[str, Option]) -> dict[str, Any]:
    """Return those of ``options`` that tell where a server is, with the defaults of ``probe`` for the rest."""
    given = {key: value for key, value in options.items() if key in known}
    return read_options({"probe": probe, **given}, known, where=probe)


def told(said: dict[str, Any]) -> Found:
    """Return what PostgreSQL said, its statements without their values."""
    most = said["max_connections"] - said["reserved"]
    waiting = [one for one in said["busy"] if one["blocked_by"]]
    oldest = max((one["transaction"] or 0 for one in said["busy"]), default=0)
    note = f"{said['clients']} of {most} connections, {len(waiting)} wait for another, oldest transaction {oldest} s"
    busy = [
        [one["pid"], one["usename"], one["state"], one["transaction"], one["query_seconds"],
         ",".join(map(str, one["blocked_by"])) or "-", f"{one['wait_event_type'] or ''} {one['wait_event'] or ''}".strip() or "-",
         normalise_sql(one["query"], most=300)]
        for one in said["busy"]
    ]  # fmt: skip
    heads = ["pid", "user", "state", "transaction s", "query s", "blocked by", "waits for", "statement"]

    def rows(items: list[dict[str, Any]]) -> str:
        return table(list(items[0]), [list(one.values()) for one in items]) if items else "none"

    parts = [f"{note}\n{said['version']}\nstarted {said['started']}, {'a replica' if said['replica'] else 'not a replica'}",
             "Sessions\n" + rows(said["states"]), "Open transactions, the oldest first\n" + (table(heads, busy) if busy else "none"),
             "Databases\n" + rows(said["databases"]), "Replication\n" + rows(said["replication"])]  # fmt: skip
    return Found("\n\n".join(parts), note=note)


def mongodb(options: dict[str, Any]) -> Found:
    """Collect operations at work by name, connections and the members of the replica set."""
    said = mongodb_probe.measure(
        {**given_options("mongodb", options, mongodb_probe.OPTIONS), "timeout_seconds": TIMEOUT_SECONDS}
    )
    if said["error"]:
        raise ProbeError(said["error"])
    operations = [
        [one.get("opid"), one.get("op"), one.get("ns"), one.get("secs_running"), one.get("planSummary"),
         "yes" if one.get("waitingForLock") else "-", next(iter(one.get("command") or {}), "-"), one.get("client")]
        for one in said["operations"] or []
    ]  # fmt: skip
    members = [
        [
            one.get("name"),
            one.get("stateStr"),
            one.get("health"),
            one.get("optimeDate"),
            one.get("lastHeartbeatMessage"),
        ]
        for one in (said["status"] or {}).get("members") or []
    ]
    hello, connections = said["hello"], said["connections"] or {}
    note = f"{connections.get('current', '?')} connections, {len(operations)} operations at work"
    heads = ["id", "operation", "on", "seconds", "plan", "waits", "command", "client"]
    parts = [
        note + (f"; {said['refused']}" if said["refused"] else ""),
        "Set\n"
        + ", ".join(
            f"{key} {hello.get(key)}" for key in ("setName", "me", "primary", "isWritablePrimary", "secondary")
        ),
        "Operations\n" + (table(heads, operations[:MOST_OPERATIONS]) if operations else "none"),
        "Members\n" + (table(["name", "state", "health", "time", "message"], members) if members else "none known"),
    ]
    return Found("\n\n".join(parts), note=note, cut=len(operations) > MOST_OPERATIONS)
