# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PostgreSQL is asked about sizes, caches, indexes and what runs now: one question, one JSON document. Private to this collection.

All of it stands in PostgreSQL 12 to 18. Nothing is asked that takes a lock which a writer would wait for, or waits for one.
"""

from __future__ import annotations

from ansible_collections.runbook.ops.plugins.module_utils._pg_report import LOCKED
from ansible_collections.runbook.ops.plugins.module_utils._slow_statements import OWN

MOST_TABLES = 200

FACTS = r"""
SELECT OWN json_build_object(
  'version', current_setting('server_version_num')::int,
  'at', extract(epoch FROM clock_timestamp()),
  'standby', pg_is_in_recovery(),
  'bytes', pg_database_size(current_database()),
  'statistics', (SELECT json_build_object('reset_at', extract(epoch FROM stats_reset), 'hit', blks_hit, 'read', blks_read,
      'temporary_bytes', temp_bytes, 'deadlocks', deadlocks, 'transactions', xact_commit + xact_rollback)
    FROM pg_stat_database WHERE datname = current_database()),
  'tables', (SELECT coalesce(json_agg(t), '[]') FROM (
    SELECT CASE schemaname WHEN 'public' THEN relname ELSE schemaname || '.' || relname END AS name,
      CASE WHEN relid NOT IN LOCKED THEN pg_total_relation_size(relid) END AS bytes, n_live_tup AS rows, seq_scan AS whole,
      coalesce(idx_scan, 0) AS by_index
    FROM pg_stat_user_tables WHERE relid NOT IN (SELECT oid FROM pg_class WHERE relkind = 'p')
    ORDER BY 2 DESC NULLS LAST, 1 LIMIT MOST_TABLES) AS t),
  -- Itself it holds nothing: its partitions do, which are among the tables above as well. pg_partition_tree() would wait for their locks.
  'partitioned', (WITH RECURSIVE part(root, oid, kind) AS (
      SELECT oid, oid, relkind FROM pg_class WHERE relkind = 'p'
      UNION ALL SELECT part.root, c.oid, c.relkind FROM part JOIN pg_inherits ON inhparent = part.oid JOIN pg_class c ON c.oid = inhrelid)
    SELECT coalesce(json_object_agg(CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END, t.bytes), '{}') FROM (
      SELECT root, CASE WHEN count(bytes) = count(*) THEN sum(bytes)::bigint END AS bytes FROM (
        SELECT root, CASE WHEN kind = 'p' THEN 0 WHEN oid NOT IN LOCKED THEN pg_total_relation_size(oid) END AS bytes FROM part) AS parts
      GROUP BY root) AS t JOIN pg_class c ON c.oid = t.root JOIN pg_namespace n ON n.oid = c.relnamespace),
  'indexes', (SELECT coalesce(json_agg(i), '[]') FROM (
    SELECT CASE s.schemaname WHEN 'public' THEN '' ELSE s.schemaname || '.' END || s.indexrelname AS name, s.idx_scan AS scans,
      CASE WHEN s.indexrelid NOT IN LOCKED THEN pg_relation_size(s.indexrelid) END AS bytes
    FROM pg_stat_user_indexes s JOIN pg_index x ON x.indexrelid = s.indexrelid
    WHERE NOT x.indisunique AND x.indisvalid ORDER BY 3 DESC NULLS LAST, 1 LIMIT MOST_TABLES) AS i),
  'running', (SELECT coalesce(json_agg(r), '[]') FROM (
    SELECT pid, extract(epoch FROM clock_timestamp() - query_start) AS seconds, wait_event_type AS waits_for, left(query, 4000) AS query
    FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend' AND datname = current_database()
      AND pid <> pg_backend_pid() ORDER BY 2 DESC LIMIT 20) AS r),
  'hidden', (SELECT count(*) FROM pg_stat_activity WHERE backend_type IS NULL AND datname = current_database()),
  'loaded', EXISTS (SELECT FROM pg_settings WHERE name = 'pg_stat_statements.max'),
  'track', (SELECT setting FROM pg_settings WHERE name = 'pg_stat_statements.track'),
  'extension', (SELECT json_build_object('schema', n.nspname, 'version', e.extversion,
      'info', to_regclass(format('%I.pg_stat_statements_info', n.nspname)) IS NOT NULL,
      'columns', (SELECT coalesce(json_agg(attname ORDER BY attnum), '[]') FROM pg_attribute
        WHERE attrelid = to_regclass(format('%I.pg_stat_statements', n.nspname)) AND attnum > 0 AND NOT attisdropped))
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'));
"""
FACTS = FACTS.replace("OWN", OWN).replace("LOCKED", LOCKED).replace("MOST_TABLES", str(MOST_TABLES))

# How pg_stat_statements is switched on, by what is missing.
NOT_LOADED = (
    "switch it on: ALTER SYSTEM SET shared_preload_libraries = '…, pg_stat_statements' (keep what is listed there), restart the server in a "
    "quiet hour, then CREATE EXTENSION pg_stat_statements"
)
NOT_CREATED = "it is loaded already: CREATE EXTENSION pg_stat_statements in this database, as its owner or a superuser"
