# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQL that a report on indexes, statistics and what grows old reads with. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_identifier, quote_literal

# Sizes are not asked of a relation that somebody has locked completely: that question would wait for it.
OBSERVE = """
WITH locked AS MATERIALIZED (
  SELECT l.relation FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
  WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
), relations AS MATERIALIZED (
  SELECT c.oid, c.relname, c.relkind, c.relam, c.reltuples, c.relfrozenxid, c.relispartition, n.nspname,
         format('%I.%I', n.nspname, c.relname) AS relation
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'm', 'p', 'i', 'I') AND c.relpersistence <> 't' AND c.oid >= 16384
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'repack')
), tables AS MATERIALIZED (
  SELECT r.*, a.seq_scan, a.seq_tup_read, a.idx_scan, a.n_live_tup, a.n_mod_since_analyze,
         coalesce(a.last_analyze, a.last_autoanalyze) IS NOT NULL AS analyzed
  FROM relations r LEFT JOIN pg_stat_all_tables a ON a.relid = r.oid WHERE r.relkind IN ('r', 'm', 'p')
), limits AS (
  SELECT s.schemaname, s.sequencename, s.last_value, s.increment_by, s.cycle, e.type,
         CASE WHEN s.increment_by > 0 THEN least(s.max_value, CASE e.type WHEN 'smallint' THEN 32767 WHEN 'integer' THEN 2147483647 ELSE s.max_value END)
           ELSE greatest(s.min_value, CASE e.type WHEN 'smallint' THEN -32768 WHEN 'integer' THEN -2147483648 ELSE s.min_value END) END AS last_possible,
         CASE WHEN s.increment_by > 0 THEN s.min_value ELSE s.max_value END AS first_possible
  FROM pg_sequences s
  JOIN pg_namespace n ON n.nspname = s.schemaname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.sequencename
  LEFT JOIN LATERAL (SELECT format_type(a.atttypid, NULL) AS type FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1) AS e ON true
  WHERE s.last_value IS NOT NULL AND NOT s.cycle
)
SELECT /* runbook.ops */ json_build_object(
  'in_recovery', pg_is_in_recovery(),
  'counted_seconds', (SELECT extract(epoch FROM clock_timestamp() - stats_reset) FROM pg_stat_database WHERE datname = current_database()),
  'freeze_max_age', current_setting('autovacuum_freeze_max_age')::bigint,
  'oldest', (SELECT json_build_object('relation', relation, 'age', age(relfrozenxid)) FROM tables WHERE relkind IN ('r', 'm')
     ORDER BY age(relfrozenxid) DESC LIMIT 1),
  'transactions', (SELECT coalesce(json_agg(json_build_object('pid', pid, 'user', usename, 'state', state,
       'seconds', round(extract(epoch FROM clock_timestamp() - xact_start))) ORDER BY xact_start), '[]')
     FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND xact_start IS NOT NULL
       AND pid <> pg_backend_pid()),
  'tables', (SELECT coalesce(json_agg(json_build_object('oid', oid::bigint, 'relation', relation, 'kind', relkind, 'rows', greatest(reltuples, 0)::bigint,
       'live_rows', coalesce(n_live_tup, 0), 'seq_scans', coalesce(seq_scan, 0), 'seq_rows', coalesce(seq_tup_read, 0),
       'index_scans', coalesce(idx_scan, 0), 'modified_rows', coalesce(n_mod_since_analyze, 0), 'analyzed', analyzed) ORDER BY oid), '[]') FROM tables),
  'indexes', (SELECT coalesce(json_agg(json_build_object('oid', r.oid::bigint, 'table', i.indrelid::bigint, 'relation', r.relation, 'method', m.amname,
       'bytes', CASE WHEN r.relkind = 'i' AND r.oid NOT IN (SELECT relation FROM locked) THEN pg_relation_size(r.oid) ELSE 0 END,
       'scans', coalesce(s.idx_scan, 0), 'valid', i.indisvalid, 'unique', i.indisunique, 'identity', i.indisreplident,
       'constraint', EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = r.oid AND k.contype IN ('p', 'u', 'x')),
       'attached', r.relispartition OR r.relkind = 'I', 'referenced', EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = r.oid AND k.contype = 'f'),
       'clustered', i.indisclustered, 'columns', i.indkey::int2[], 'keys', i.indnkeyatts,
       'classes', i.indclass::oid[]::bigint[], 'collations', i.indcollation::oid[]::bigint[], 'options', i.indoption::int2[],
       'expressions', pg_get_expr(i.indexprs, i.indrelid), 'predicate', pg_get_expr(i.indpred, i.indrelid),
       'builder', (SELECT p.pid FROM pg_stat_progress_create_index p WHERE p.relid = i.indrelid LIMIT 1)) ORDER BY r.oid), '[]')
     FROM pg_index i JOIN relations r ON r.oid = i.indexrelid JOIN pg_am m ON m.oid = r.relam LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = r.oid),
  'foreign_keys', (SELECT coalesce(json_agg(json_build_object('name', k.conname, 'table', k.conrelid::bigint, 'columns', k.conkey,
       'names', (SELECT json_agg(a.attname ORDER BY o.n) FROM unnest(k.conkey) WITH ORDINALITY AS o(num, n)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = o.num),
       'to', (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = k.confrelid))
       ORDER BY k.oid), '[]')
     FROM pg_constraint k JOIN tables t ON t.oid = k.conrelid WHERE k.contype = 'f' AND k.conparentid = 0),
  'sequences', (SELECT coalesce(json_agg(json_build_object('relation', format('%I.%I', schemaname, sequencename), 'type', type,
       'percent', round(100.0 * abs(last_value::numeric - first_possible) / greatest(1, abs(last_possible::numeric - first_possible)), 1),
       'left', abs(last_possible::numeric - last_value))), '[]') FROM limits)
);
"""


def find_index(schema: str, name: str) -> str:
    """Return the SQL for one JSON document on the index ``name`` of ``schema``: null where there is none."""
    return f"""
SELECT coalesce((SELECT json_build_object('valid', i.indisvalid, 'unique', i.indisunique, 'method', m.amname, 'table', t.relname,
    'columns', (SELECT json_agg(pg_get_indexdef(c.oid, g, true) ORDER BY g) FROM generate_series(1, i.indnkeyatts) AS g),
    'where', pg_get_expr(i.indpred, i.indrelid, true), 'definition', pg_get_indexdef(c.oid), 'bytes', pg_relation_size(c.oid),
    'constraint', (SELECT k.conname FROM pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x') LIMIT 1),
    'referenced', (SELECT k.conname FROM pg_constraint k WHERE k.conindid = c.oid AND k.contype = 'f' LIMIT 1),
    'identity', i.indisreplident, 'partitioned', c.relkind = 'I' OR c.relispartition,
    'builder', (SELECT p.pid FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid LIMIT 1))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index i ON i.indexrelid = c.oid
  JOIN pg_am m ON m.oid = c.relam JOIN pg_class t ON t.oid = i.indrelid
  WHERE n.nspname = {quote_literal(schema)} AND c.relname = {quote_literal(name)}), 'null'::json);
"""


OLDEST = """
SELECT json_build_object('in_recovery', pg_is_in_recovery(), 'holder', (SELECT format('session %s of %s (%s, open for %s s)', pid, usename, state,
    round(extract(epoch FROM clock_timestamp() - xact_start))) FROM pg_stat_activity
  WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    AND xact_start < clock_timestamp() - :seconds * interval '1 second' ORDER BY xact_start LIMIT 1));
"""


def oldest(seconds: float) -> str:
    """Return the SQL that names who has had a transaction open for longer than ``seconds``."""
    return f"\\set seconds {float(seconds)}\n{OLDEST}"


def create_index(wanted: Mapping[str, Any]) -> str:
    """Return the statement that makes an index beside the users of its table. ``columns`` and ``where`` are SQL as they are."""
    unique = "UNIQUE " if wanted["unique"] else ""
    where = f" WHERE {wanted['where']}" if wanted["where"] else ""
    table = f"{quote_identifier(wanted['schema'])}.{quote_identifier(wanted['table'])}"
    columns = ", ".join(wanted["columns"])
    name, method = quote_identifier(wanted["name"]), quote_identifier(wanted["method"])
    return f"CREATE {unique}INDEX CONCURRENTLY {name} ON {table} USING {method} ({columns}){where}"


def drop_index(schema: str, name: str) -> str:
    return f"DROP INDEX CONCURRENTLY IF EXISTS {quote_identifier(schema)}.{quote_identifier(name)}"
