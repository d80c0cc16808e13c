# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQL of a report on one database: one script, two JSON documents. Private to this collection."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

BETWEEN = "--statements--"

REPORT = r"""
SELECT /* runbook.ops */ json_build_object(
  'database', current_database(),
  'version', current_setting('server_version_num')::int,
  'in_recovery', pg_is_in_recovery(),
  'started_at', to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
  'bytes', pg_database_size(current_database()),
  'freeze_age_percent', (SELECT round(100.0 * age(datfrozenxid) / current_setting('autovacuum_freeze_max_age')::bigint, 1)
    FROM pg_database WHERE datname = current_database()),
  'pending_restart', (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM pg_settings WHERE pending_restart),
  'extensions', (SELECT coalesce(json_object_agg(extname, extversion), '{}') FROM pg_extension),
  'connections', json_build_object(
    'max', current_setting('max_connections')::int,
    'used', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
    'by_state', (SELECT coalesce(json_object_agg(state, number), '{}') FROM (
      SELECT coalesce(state, 'starting') AS state, count(*) AS number FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND datname = current_database() GROUP BY 1) AS s)),
  'oldest_transaction_seconds', (SELECT coalesce(round(extract(epoch FROM max(clock_timestamp() - xact_start))::numeric, 1), 0)
    FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()),
  'idle_in_transaction_seconds', (SELECT coalesce(round(extract(epoch FROM max(clock_timestamp() - state_change))::numeric, 1), 0)
    FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'),
  'dead_rows', (SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables),
  'invalid_indexes', (SELECT coalesce(json_agg(format('%I.%I', n.nspname, c.relname) ORDER BY n.nspname, c.relname), '[]')
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid),
  'largest_tables', (SELECT coalesce(json_agg(t), '[]') FROM (
    SELECT format('%I.%I', schemaname, relname) AS relation, CASE WHEN relid NOT IN LOCKED THEN pg_total_relation_size(relid) END AS bytes,
      n_live_tup AS live_rows, n_dead_tup AS dead_rows,
      round(100.0 * n_dead_tup / greatest(n_live_tup + n_dead_tup, 1), 1) AS dead_rows_percent
    FROM pg_stat_user_tables ORDER BY 2 DESC NULLS LAST, 1 LIMIT :number) AS t),
  'largest_indexes', (SELECT coalesce(json_agg(i), '[]') FROM (
    SELECT format('%I.%I', schemaname, indexrelname) AS relation, format('%I.%I', schemaname, relname) AS "table",
      CASE WHEN indexrelid NOT IN LOCKED THEN pg_relation_size(indexrelid) END AS bytes, idx_scan AS scans
    FROM pg_stat_user_indexes ORDER BY 3 DESC NULLS LAST, 1 LIMIT :number) AS i),
  'statements', json_build_object('available', :'available' = 't', 'reason', nullif(:'reason', ''))
);
"""

# Sizes are not asked of relations that somebody has locked completely: that question would wait for them.
LOCKED = """(SELECT l.relation FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
      WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock')"""
REPORT = REPORT.replace("LOCKED", LOCKED)

# Anybody may see that the setting exists, which it does only where the library was preloaded.
# The columns were renamed in pg_stat_statements 1.8, which PostgreSQL 13 brought; both spellings exist in nobody's view.
PREPARE = r"""
SELECT count(*) > 0 AS installed, coalesce(max(n.nspname), '') AS schema,
  EXISTS (SELECT FROM pg_settings WHERE name = 'pg_stat_statements.max') AS loaded,
  current_setting('server_version_num')::int >= 130000 AS renamed
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements' \gset
\if :renamed
\set total total_exec_time
\set mean mean_exec_time
\else
\set total total_time
\set mean mean_time
\endif
\set available f
\if :installed
\if :loaded
\set available t
\set reason ''
\else
\set reason 'pg_stat_statements is not in shared_preload_libraries: add it there and restart the server'
\endif
\else
\set reason 'the extension pg_stat_statements is not created in this database'
\endif
"""

# Values are replaced by $1 in queries, yet not in CREATE ROLE ... PASSWORD 'secret': all is cut from the first string on.
# What the collection itself asks is none of the application's: a comment marks it.
STATEMENTS = r"""
\if :available
SELECT /* runbook.ops */ coalesce(json_agg(s), '[]') FROM (
  SELECT left(regexp_replace(regexp_replace(query, '\s+', ' ', 'g'), '(''|\$[A-Za-z_]*\$).*', '...'), 200) AS query, calls, round(:mean::numeric, 2) AS mean_ms,
    round(:total::numeric, 1) AS total_ms, rows
  FROM :"schema".pg_stat_statements JOIN pg_database d ON d.oid = dbid AND d.datname = current_database()
  WHERE query NOT LIKE '%/* runbook.ops%'
  ORDER BY :mean DESC LIMIT :number) AS s;
\else
SELECT '[]';
\endif
"""


def report(number: int) -> str:
    """Return the script that prints the report and the ``number`` slowest statements on average, for :func:`read`."""
    return f"\\set number {number}\n{PREPARE}{REPORT}\\echo {BETWEEN}\n{STATEMENTS}"


def read(lines: Sequence[str]) -> dict[str, Any]:
    """Return what the script printed as one report."""
    middle = lines.index(BETWEEN)
    head: dict[str, Any] = json.loads("\n".join(lines[:middle]))
    return {**head, "slowest_statements": json.loads("\n".join(lines[middle + 1 :]))}
