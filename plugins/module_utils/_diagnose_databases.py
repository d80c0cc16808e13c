# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at work in PostgreSQL, MongoDB and Redis, without what they ask for. Private to this collection."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._diagnose import Found, table
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import last_line, run_program
from ansible_collections.runbook.ops.plugins.module_utils._redact import normalise_sql
from ansible_collections.runbook.ops.plugins.module_utils.probes.postgresql import find_psql

TIMEOUT_SECONDS = 8
SESSIONS = r"""
SET statement_timeout = '6s'; SET lock_timeout = '1s'; SET default_transaction_read_only = on;
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
MONGO = """
const admin = db.getSiblingDB(process.env.RUNBOOK_AUTH || 'admin');
if (process.env.RUNBOOK_USER) admin.auth(process.env.RUNBOOK_USER, process.env.RUNBOOK_PASSWORD);
const said = {};
const ask = (name, f) => { try { said[name] = f(); } catch (e) { said[name] = {error: String(e.codeName || e.message)}; } };
const root = db.getSiblingDB('admin');
ask('status', () => { const s = root.runCommand({serverStatus: 1}); return {version: s.version, uptime: s.uptime, connections: s.connections,
  memory: s.mem, queue: s.globalLock && s.globalLock.currentQueue, asserts: s.asserts}; });
ask('operations', () => root.aggregate([{$currentOp: {allUsers: true}}, {$match: {active: true}}]).toArray().slice(0, 40).map(o => ({id: String(o.opid),
  op: o.op, ns: o.ns, seconds: o.secs_running, plan: o.planSummary, waits: o.waitingForLock, client: o.client,
  command: o.command && Object.keys(o.command)[0]})));
ask('members', () => root.runCommand({replSetGetStatus: 1}).members.map(m => ({name: m.name, state: m.stateStr, health: m.health,
  optime: m.optimeDate, message: m.lastHeartbeatMessage})));
print('RUNBOOK' + JSON.stringify(said));
"""


def _within(options: dict[str, Any]) -> tuple[list[str], str | None]:
    """Return what goes before a client's program, and its container: the one of a Compose service where there is one."""
    compose = options.get("compose")
    if not compose:
        return [], None
    filters = [f"--filter=label=com.docker.compose.{key}={compose[key]}" for key in ("project", "service")]
    found = run_program(["docker", "ps", "--format={{.ID}}", *filters], timeout_seconds=4).out.split()
    if not found:
        raise ProbeError(f"no container of the Compose service {compose['service']} runs")
    return ["docker", "exec", "-i", *[f"-e{name}" for name in options.get("pass", [])], found[0]], found[0]


def postgresql(options: dict[str, Any]) -> Found:
    """Collect sessions by state, open transactions and who waits for whom."""
    names = ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGCONNECT_TIMEOUT", "PGAPPNAME")
    within, container = _within({**options, "pass": names})
    local = not options.get("host") or str(options["host"]).startswith("/")
    superuser = options.get("superuser") or "postgres"
    values = (options.get("host"), options.get("port"), options.get("user") or (superuser if local else None), options["database"],
              options.get("password"), 5, "runbook.ops diagnose")  # fmt: skip
    done = run_program(
        [*within, "psql" if container else find_psql(), "-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"],
        stdin=SESSIONS,
        user=superuser if local and not container else None,
        environment={name: str(value) for name, value in zip(names, values) if value},
        timeout_seconds=TIMEOUT_SECONDS,
    )
    if done.code != 0:
        raise ProbeError((done.err.strip() or "psql said nothing").splitlines()[0].replace("psql: error: ", ""))
    return told(json.loads(done.out))


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
    names = ("RUNBOOK_AUTH", "RUNBOOK_USER", "RUNBOOK_PASSWORD")
    within, _container = _within({**options, "pass": names})
    values = (options.get("auth_database"), options.get("user"), options.get("password"))
    place = f"mongodb://{options.get('host') or '127.0.0.1'}:{options.get('port') or 27017}/?directConnection=true"
    done = run_program(
        [*within, "mongosh", "--quiet", "--norc", place + "&serverSelectionTimeoutMS=4000", "--eval", MONGO],
        environment={
            "HOME": os.environ.get("TMPDIR", "/nonexistent"),
            **{n: str(v) for n, v in zip(names, values) if v},
        },
        timeout_seconds=TIMEOUT_SECONDS,
    )
    found = next((line[7:] for line in done.out.splitlines() if line.startswith("RUNBOOK{")), None)
    if found is None:
        raise ProbeError(f"mongosh: {last_line(done.err or done.out)}")
    said = json.loads(found)
    operations = said.get("operations")
    count = len(operations) if isinstance(operations, list) else "?"
    connections = (said.get("status") or {}).get("connections") or {}
    return Found(
        json.dumps(said, indent=1), note=f"{connections.get('current', '?')} connections, {count} operations at work"
    )
