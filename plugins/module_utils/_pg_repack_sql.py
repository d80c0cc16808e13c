# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQL around pg_repack: what it would find, what one that died left, and how that is removed. Private to this collection.

What it leaves, and by which lock others see that it runs: https://github.com/reorg/pg_repack/blob/master/bin/pg_repack.c
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_identifier, quote_literal
from ansible_collections.runbook.ops.plugins.module_utils._pg_sql import MEASURES

LOCK_CLASS = 16185446  # pg_repack's own, of the advisory lock that it holds on a table for as long as it works
# The second number of that lock is the table's, less 2^31, and pg_locks shows it without its sign.
RUNS = f"""
  SELECT l.pid, (l.objid::bigint + 2147483648) % 4294967296 AS oid, a.backend_start, a.application_name
  FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
  LEFT JOIN pg_stat_activity a ON a.pid = l.pid
  WHERE l.locktype = 'advisory' AND l.classid::bigint = {LOCK_CLASS} AND l.objsubid = 2 AND l.granted
"""
PARTS = """
  SELECT substring(c.relname FROM '\\d+$')::bigint AS oid, substring(c.relname FROM '^[a-z]+') AS part, pg_relation_size(c.oid) AS bytes
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'repack' AND c.relkind = 'r' AND c.relname ~ '^(log|table)_\\d{1,10}$'
  UNION ALL
  SELECT substring(t.typname FROM '\\d+$')::bigint, 'pk', 0 FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  WHERE n.nspname = 'repack' AND t.typtype = 'c' AND t.typname ~ '^pk_\\d{1,10}$'
  UNION ALL
  SELECT g.tgrelid::bigint, 'trigger', 0 FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname = 'repack' AND p.proname = 'repack_trigger'
"""
# Sizes are not asked of a table that somebody has locked completely: that question would wait for it.
OBSERVE = f"""
WITH locked AS MATERIALIZED (
  SELECT l.relation FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
  WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
), names AS (
  SELECT c.oid::bigint AS oid, format('%I.%I', n.nspname, c.relname) AS relation FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
), runs AS MATERIALIZED ({RUNS.strip()}), parts AS MATERIALIZED ({PARTS.strip()}), tables AS MATERIALIZED (
  SELECT c.oid, c.relfilenode, c.reltoastrelid, format('%I.%I', n.nspname, c.relname) AS relation, c.reloptions,
         coalesce(nullif(c.reltablespace, 0), d.dattablespace) AS tablespace, pg_relation_size(c.oid) AS bytes,
         CASE WHEN c.reltoastrelid <> 0 THEN pg_relation_size(c.reltoastrelid) ELSE 0 END AS toast_bytes,
         pg_total_relation_size(c.oid) AS total_bytes, pg_has_role(c.relowner, 'USAGE') AS owned
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_database d ON d.datname = current_database()
  WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.oid >= 16384 AND c.oid NOT IN (SELECT relation FROM locked)
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'repack')
)
SELECT /* runbook.ops */ json_build_object(
  'version', current_setting('server_version_num')::int,
  'block_size', current_setting('block_size')::int,
  'in_recovery', pg_is_in_recovery(),
  'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
  'available', (SELECT default_version FROM pg_available_extensions WHERE name = 'pg_repack'),
  'installed', (SELECT extversion FROM pg_extension WHERE extname = 'pg_repack'),
  'pgstattuple', ({MEASURES.strip().rstrip(";")}),
  'directories', CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN (
    SELECT json_object_agg(oid, coalesce(nullif(pg_tablespace_location(oid), ''), current_setting('data_directory', true)))
    FROM pg_tablespace WHERE spcname <> 'pg_global') END,
  'wal_tablespace', (SELECT oid::bigint FROM pg_tablespace WHERE spcname = 'pg_default'),
  'holder', (SELECT json_build_object('pid', pid, 'user', usename, 'state', state,
       'seconds', round(extract(epoch FROM clock_timestamp() - xact_start)::numeric, 1))
     FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND xact_start IS NOT NULL
       AND pid <> pg_backend_pid() AND application_name <> 'pg_repack' AND pid NOT IN (SELECT pid FROM runs)
     ORDER BY xact_start LIMIT 1),
  'runs', (SELECT coalesce(json_agg(json_build_object('pid', r.pid, 'oid', r.oid, 'application', r.application_name,
       'relation', (SELECT relation FROM names WHERE oid = r.oid),
       'seconds', round(extract(epoch FROM clock_timestamp() - r.backend_start)))), '[]') FROM runs r),
  'leftovers', (SELECT coalesce(json_agg(json_build_object('oid', p.oid, 'parts', p.parts, 'bytes', p.bytes,
       'relation', (SELECT relation FROM names WHERE oid = p.oid)) ORDER BY p.oid), '[]')
     FROM (SELECT oid, array_agg(DISTINCT part ORDER BY part) AS parts, sum(bytes) AS bytes FROM parts GROUP BY oid) AS p),
  'tables', (SELECT coalesce(json_agg(json_build_object('oid', t.oid::bigint, 'relation', t.relation, 'file', t.relfilenode::bigint,
       'toast', t.reltoastrelid::bigint, 'bytes', t.bytes, 'toast_bytes', t.toast_bytes, 'total_bytes', t.total_bytes,
       'tablespace', t.tablespace::bigint, 'owned', t.owned, 'live_rows', coalesce(a.n_live_tup, 0), 'dead_rows', coalesce(a.n_dead_tup, 0),
       'fillfactor', coalesce((SELECT option_value FROM pg_options_to_table(t.reloptions) WHERE option_name = 'fillfactor'), '100')::int,
       'keyed', EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
          AND 0 <> ALL (i.indkey) AND NOT EXISTS (SELECT FROM pg_attribute e
            WHERE e.attrelid = i.indrelid AND e.attnum = ANY (i.indkey) AND NOT e.attnotnull))) ORDER BY t.oid), '[]')
     FROM tables t LEFT JOIN pg_stat_all_tables a ON a.relid = t.oid WHERE t.bytes + t.toast_bytes >= :least_bytes)
);
"""


def observe(least_bytes: int) -> str:
    """Return the SQL for one JSON document of all that a plan needs; smaller tables are not in it."""
    return f"\\set least_bytes {least_bytes}\n{OBSERVE}"


def measure(oids: Sequence[int], *, schema: str) -> str:
    """Return the SQL for how full tables and their TOAST tables (object identifiers) are. Pages that all see whole are not read."""
    return f"""
SELECT coalesce(json_agg(json_build_object('oid', c.oid::bigint, 'bytes', p.table_len, 'rows', p.approx_tuple_count,
  'row_bytes', p.approx_tuple_len, 'dead_rows', p.dead_tuple_count)), '[]')
FROM unnest(ARRAY[{", ".join(map(str, oids))}]::oid[]) AS o(oid) JOIN pg_class c ON c.oid = o.oid,
  {schema}.pgstattuple_approx(c.oid::regclass) p;
"""


def size_of(oid: int) -> str:
    """Return the SQL for file and size of a table; nothing where it is gone."""
    return (
        "SELECT json_build_object('file', relfilenode::bigint, 'total_bytes', pg_total_relation_size(oid))"
        f" FROM pg_class WHERE oid = {int(oid)};"
    )


def end_sessions(oid: int) -> str:
    """Return the SQL that ends the sessions which repack the table ``oid``."""
    return f"SELECT count(pg_terminate_backend(r.pid)) FROM ({RUNS.strip()}) AS r WHERE r.oid = {int(oid)};"


def remove(leftover: Mapping[str, Any], *, lock_milliseconds: int) -> str:
    """Return the SQL that removes what a dead pg_repack left of one table.

    It takes pg_repack's own lock first: where somebody repacks the table now, it prints ``busy`` and touches nothing. The table
    is locked before what belongs to it, as pg_repack does, so that no writer, whose trigger writes to the log, can be caught in a deadlock.
    """
    oid, relation = int(leftover["oid"]), leftover["relation"]
    lines = [
        "BEGIN;",
        f"SET LOCAL lock_timeout = {int(lock_milliseconds)};",
        f"SELECT NOT pg_try_advisory_xact_lock({LOCK_CLASS}, CAST(-2147483648 + {oid}::bigint AS integer)) AS busy \\gset",
        "\\if :busy",
        "\\echo busy",
        "ROLLBACK;",
        "\\quit",
        "\\endif",
    ]
    if relation and "trigger" in leftover["parts"]:
        lines.append(f"LOCK TABLE {relation} IN ACCESS EXCLUSIVE MODE;")
        # Its name has changed over the versions: all that call its function.
        named = (
            f"SELECT format('DROP TRIGGER %I ON {{}}', g.tgname) FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid"
            " JOIN pg_namespace n ON n.oid = p.pronamespace"
            f" WHERE g.tgrelid = {oid} AND n.nspname = 'repack' AND p.proname = 'repack_trigger'"
        )
        escaped = relation.replace("%", "%%").replace("'", "''")
        lines.append(named.replace("{}", escaped) + " \\gexec")
    lines += [f"DROP TABLE IF EXISTS repack.{quote_identifier(f'log_{oid}')};"]
    lines += [f"DROP TABLE IF EXISTS repack.{quote_identifier(f'table_{oid}')};"]
    lines += [f"DROP TYPE IF EXISTS repack.{quote_identifier(f'pk_{oid}')};", "COMMIT;"]
    return "SET client_min_messages = error;\n" + "\n".join(lines) + "\n"


def vacuum_full(relation: str) -> str:
    """Return what does the same with the table closed, for people."""
    return f"VACUUM (FULL, ANALYZE) {relation}"


def conflicts(oid: int, *, seconds: float) -> str:
    """Return the SQL that names who has held a lock on the table ``oid`` for longer than ``seconds``: nothing where nobody has."""
    return f"""
SELECT format('session %s of %s (%s, open for %s s)', a.pid, a.usename, a.state, round(extract(epoch FROM clock_timestamp() - a.xact_start)))
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.relation = {int(oid)} AND l.pid <> pg_backend_pid()
  AND a.xact_start < clock_timestamp() - interval {quote_literal(f"{float(seconds)} seconds")}
ORDER BY a.xact_start LIMIT 1;
"""
