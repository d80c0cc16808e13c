# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQL that maintenance reads with: nothing here changes anything for good. Private to this collection."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_identifier, quote_literal

APPLICATION = "runbook.ops pg_maintenance"

# Who holds dead rows back: a row can go only when nobody's snapshot is older than its death. Sessions of other databases do
# not count; running vacuums and our own sessions are no obstacle.
HOLDERS = f"""
holders AS (
  SELECT format('session %s of %s (%s, open for %s s)', pid, coalesce(usename::text, backend_type), coalesce(state, backend_type),
           coalesce(round(extract(epoch FROM clock_timestamp() - xact_start))::bigint, 0)) AS what,
         pid, greatest(age(backend_xmin), age(backend_xid)) AS xid_age,
         extract(epoch FROM xact_start) AS since
  FROM pg_stat_activity
  WHERE (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND pid <> pg_backend_pid()
    AND (datname = current_database() OR backend_type = 'walsender')
    AND backend_type <> 'autovacuum worker' AND application_name NOT LIKE {quote_literal(APPLICATION + " %")}
  UNION ALL
  SELECT format('prepared transaction %L', gid), NULL, age(transaction), extract(epoch FROM prepared)
  FROM pg_prepared_xacts WHERE database = current_database()
  UNION ALL
  SELECT format('replication slot %L', slot_name), NULL, age(xmin), NULL FROM pg_replication_slots WHERE xmin IS NOT NULL
)"""

# Sizes are asked from the files, but for relations that somebody has locked completely: that question would wait for them.
# An oid would become text in JSON: it is cast to a number.
OBSERVE = f"""
WITH server AS MATERIALIZED (
  SELECT current_setting('server_version_num')::int AS version, current_setting('block_size')::int AS block_size,
         d.oid AS database, d.datdba AS owner, d.dattablespace AS tablespace
  FROM pg_database d WHERE d.datname = current_database()
), locked AS MATERIALIZED (
  SELECT DISTINCT l.relation FROM pg_locks l, server s
  WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.database = s.database
), {HOLDERS.strip()}, relations AS MATERIALIZED (
  SELECT c.oid, c.relname, c.relkind, c.relam, c.reltoastrelid, c.relowner, c.reltuples, c.reloptions, c.relpages,
         n.nspname, format('%I.%I', n.nspname, c.relname) AS relation,
         CASE WHEN c.relkind IN ('p', 'I') THEN 0
              WHEN c.oid IN (SELECT relation FROM locked) THEN c.relpages::bigint * s.block_size
              ELSE coalesce(pg_relation_size(c.oid), 0) END AS bytes,
         CASE WHEN c.relkind IN ('r', 'm', 't') THEN age(c.relfrozenxid) ELSE 0 END AS xid_age,
         CASE WHEN c.relkind IN ('r', 'm', 't') THEN mxid_age(c.relminmxid) ELSE 0 END AS multixact_age,
         coalesce(nullif(c.reltablespace, 0), s.tablespace) AS tablespace,
         pg_has_role(c.relowner, 'USAGE') AS owned
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN server s
  WHERE c.relkind IN ('r', 'm', 'p', 't', 'i') AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%'
    AND c.oid >= 16384
), tables AS MATERIALIZED (
  SELECT r.*, coalesce(t.bytes, 0) AS toast_bytes, greatest(r.xid_age, t.xid_age) AS oldest_xid,
         greatest(r.multixact_age, t.multixact_age) AS oldest_multixact,
         r.owned OR CASE WHEN s.version >= 170000 THEN has_table_privilege(r.oid, 'MAINTAIN') ELSE false END AS maintains
  FROM relations r LEFT JOIN relations t ON t.oid = r.reltoastrelid CROSS JOIN server s
  WHERE r.relkind IN ('r', 'm', 'p')
), indexes AS MATERIALIZED (
  SELECT r.*, i.indrelid, i.indisvalid, i.indisexclusion, i.indisunique, i.indnkeyatts, i.indnatts, i.indkey, i.indclass,
         i.indcollation, i.indoption, i.indexprs, i.indpred, m.amname, t.oid AS table_oid, coalesce(t.maintains, r.owned) AS maintains
  FROM relations r JOIN pg_index i ON i.indexrelid = r.oid JOIN pg_am m ON m.oid = r.relam
  JOIN pg_class h ON h.oid = i.indrelid
  JOIN tables t ON t.oid = i.indrelid OR (h.relkind = 't' AND t.reltoastrelid = i.indrelid)
), statistics AS MATERIALIZED (
  SELECT schemaname, tablename, attname, avg_width, n_distinct, null_frac FROM pg_stats WHERE NOT inherited
), columns AS MATERIALIZED (
  SELECT x.oid, json_agg(json_build_object(
      'width', CASE WHEN e.attlen > 0 THEN e.attlen ELSE q.avg_width END, 'fixed', e.attlen > 0, 'distinct', q.n_distinct,
      'null_fraction', coalesce(q.null_frac, 0),
      'align', CASE e.attalign WHEN 'c' THEN 1 WHEN 's' THEN 2 WHEN 'i' THEN 4 ELSE 8 END) ORDER BY e.attnum) AS columns
  FROM indexes x JOIN pg_attribute e ON e.attrelid = x.oid
  LEFT JOIN pg_attribute g ON g.attrelid = x.indrelid AND g.attnum = x.indkey[e.attnum - 1] AND g.attnum <> 0
  LEFT JOIN pg_class h ON h.oid = CASE WHEN g.attnum IS NULL THEN x.oid ELSE x.indrelid END
  LEFT JOIN statistics q ON q.schemaname = x.nspname AND q.tablename = h.relname AND q.attname = coalesce(g.attname, e.attname)
  WHERE x.bytes >= :screen_bytes AND x.amname = 'btree'
  GROUP BY x.oid
), suspects AS (
  SELECT DISTINCT indrelid FROM indexes WHERE NOT indisvalid
)
SELECT /* runbook.ops */ json_build_object(
  'version', s.version,
  'block_size', s.block_size,
  'in_recovery', pg_is_in_recovery(),
  'role', current_user,
  'now', extract(epoch FROM clock_timestamp()),
  'freeze_max_age', current_setting('autovacuum_freeze_max_age')::bigint,
  'multixact_freeze_max_age', current_setting('autovacuum_multixact_freeze_max_age')::bigint,
  'database_freeze_age', (SELECT age(datfrozenxid) FROM pg_database WHERE oid = s.database),
  'oldest_transaction_seconds', (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()),
  'holders', (SELECT coalesce(json_agg(json_build_object('what', what, 'xid_age', xid_age, 'since', since) ORDER BY xid_age DESC), '[]') FROM holders),
  'runs', (SELECT coalesce(json_agg(json_build_object('pid', pid, 'application', application_name,
        'seconds', round(extract(epoch FROM clock_timestamp() - backend_start)))), '[]') FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE {quote_literal(APPLICATION + " %")}
      AND application_name <> current_setting('application_name')),
  'directories', CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN (
    SELECT json_object_agg(oid, coalesce(nullif(pg_tablespace_location(oid), ''), current_setting('data_directory', true)))
    FROM pg_tablespace WHERE spcname <> 'pg_global') END,
  'tables', (SELECT coalesce(json_agg(json_build_object(
      'oid', t.oid::bigint, 'relation', t.relation, 'kind', t.relkind, 'bytes', t.bytes + t.toast_bytes, 'tablespace', t.tablespace::bigint,
      'live_rows', coalesce(a.n_live_tup, 0), 'dead_rows', coalesce(a.n_dead_tup, 0),
      'toast_live_rows', coalesce(b.n_live_tup, 0), 'toast_dead_rows', coalesce(b.n_dead_tup, 0),
      'modified_rows', coalesce(a.n_mod_since_analyze, 0),
      'cold_share', CASE WHEN a.n_tup_upd + a.n_tup_del > 0
         THEN round(1 - a.n_tup_hot_upd::numeric / (a.n_tup_upd + a.n_tup_del), 4) ELSE 1 END,
      'analyzed', coalesce(a.last_analyze, a.last_autoanalyze) IS NOT NULL OR (t.relkind = 'p'
         AND EXISTS (SELECT FROM pg_stats q WHERE q.schemaname = t.nspname AND q.tablename = t.relname AND q.inherited)),
      'vacuumed_at', extract(epoch FROM greatest(a.last_vacuum, a.last_autovacuum)),
      'xid_age', t.oldest_xid, 'multixact_age', t.oldest_multixact,
      'parent', CASE WHEN t.relkind <> 'p' THEN (SELECT relid FROM pg_partition_ancestors(t.oid) WITH ORDINALITY AS p(relid, n)
         WHERE EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = t.oid) ORDER BY n DESC LIMIT 1)::bigint END,
      'partition', t.relkind = 'p' AND EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = t.oid),
      'may_vacuum', t.maintains OR pg_has_role(s.owner, 'USAGE'), 'owned', t.owned) ORDER BY t.oid), '[]')
    FROM tables t LEFT JOIN pg_stat_all_tables a ON a.relid = t.oid LEFT JOIN pg_stat_all_tables b ON b.relid = t.reltoastrelid),
  'indexes', (SELECT coalesce(json_agg(json_build_object(
      'oid', x.oid::bigint, 'table', x.table_oid::bigint, 'relation', x.relation, 'name', x.relname, 'method', x.amname, 'bytes', x.bytes,
      'tablespace', x.tablespace::bigint, 'rows', greatest(x.reltuples, 0), 'valid', x.indisvalid, 'exclusion', x.indisexclusion,
      'may_reindex', CASE WHEN s.version >= 170000 THEN x.maintains ELSE x.owned END, 'may_drop', x.owned,
      'fillfactor', coalesce((SELECT option_value FROM pg_options_to_table(x.reloptions) WHERE option_name = 'fillfactor'), '90')::int,
      'deduplicates', s.version >= 130000 AND NOT x.indisunique AND x.indnatts = x.indnkeyatts
         AND coalesce((SELECT option_value FROM pg_options_to_table(x.reloptions) WHERE option_name = 'deduplicate_items')::boolean, true)
         AND NOT EXISTS (SELECT FROM unnest(x.indclass) AS k(opclass) JOIN pg_opclass o ON o.oid = k.opclass
           WHERE NOT EXISTS (SELECT FROM pg_amproc f WHERE f.amprocfamily = o.opcfamily AND f.amproclefttype = o.opcintype AND f.amprocnum = 4)),
      'definition', CASE WHEN x.indrelid IN (SELECT indrelid FROM suspects) THEN json_build_array(x.indrelid, x.relam, x.indkey::text,
         x.indclass::text, x.indcollation::text, x.indoption::text, x.indisunique, pg_get_expr(x.indexprs, x.indrelid),
         pg_get_expr(x.indpred, x.indrelid))::text END,
      'builder', (SELECT p.pid FROM pg_stat_progress_create_index p WHERE p.relid = x.indrelid LIMIT 1),
      'columns', c.columns) ORDER BY x.oid), '[]')
    FROM indexes x LEFT JOIN columns c ON c.oid = x.oid)
)
FROM server s;
"""


def observe(screen_bytes: int) -> str:
    """Return the SQL for one JSON document of all that a plan needs.

    :param screen_bytes: the columns of smaller indexes are not read: they are never candidates
    """
    return f"\\set screen_bytes {screen_bytes}\n{OBSERVE}"


def measure(indexes: Sequence[int], tables: Sequence[int], *, schema: str) -> str:
    """Return the SQL for what pgstattuple says of ``indexes`` and ``tables`` (object identifiers). It reads the indexes."""

    def values(oids: Sequence[int]) -> str:
        return f"unnest(ARRAY[{', '.join(map(str, oids))}]::oid[])"

    return f"""
SELECT /* runbook.ops */ json_build_object(
  'indexes', (SELECT coalesce(json_agg(json_build_object('oid', c.oid::bigint, 'bytes', p.index_size, 'leaf_pages', p.leaf_pages,
      'idle_pages', p.empty_pages + p.deleted_pages, 'density', nullif(p.avg_leaf_density, 'NaN'))), '[]')
    FROM {values(indexes)} AS o(oid) JOIN pg_class c ON c.oid = o.oid, {schema}.pgstatindex(c.oid::regclass) p),
  'tables', (SELECT coalesce(json_agg(json_build_object('oid', c.oid::bigint, 'bytes', p.table_len,
      'waste_bytes', round(p.dead_tuple_len + p.approx_free_space))), '[]')
    FROM {values(tables)} AS o(oid) JOIN pg_class c ON c.oid = o.oid, {schema}.pgstattuple_approx(c.oid::regclass) p)
);
"""


# One word: the schema of pgstattuple, "borrow" where it can be created and rolled back, or nothing.
MEASURES = """
SELECT coalesce(
  (SELECT CASE WHEN has_schema_privilege(n.oid, 'USAGE') AND (pg_has_role('pg_stat_scan_tables', 'USAGE')) THEN format('schema %I', n.nspname) ELSE '' END
   FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pgstattuple'),
  CASE WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    AND EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pgstattuple') THEN 'borrow' ELSE '' END);
"""


def borrow(sql: str, schema: str) -> str:
    """Return ``sql`` inside a transaction that brings pgstattuple, in ``schema``, and takes it away again."""
    return f"BEGIN;\nCREATE SCHEMA {schema};\nCREATE EXTENSION pgstattuple WITH SCHEMA {schema};\n{sql}\nROLLBACK;\n"


def sized(statement: str, relation: str, size: str) -> str:
    """Return ``statement`` between two questions for the bytes of ``relation``, asked with the function ``size``."""
    question = f"SELECT {size}({quote_literal(relation)}::regclass);"
    return f"{question}\n{statement};\n{question}\n"


def unless_held(sql: str, *, seconds: float) -> str:
    """Return ``sql`` behind a gate: a transaction open for longer than ``seconds`` would keep it waiting at its end.

    Where the gate is shut, one line ``held: who`` is all that is printed.
    """
    return f"""\
WITH {HOLDERS.strip()}
SELECT count(*) > 0 AS held, coalesce(min(what), '') AS holder FROM holders
WHERE pid IS NOT NULL AND extract(epoch FROM clock_timestamp()) - since > {seconds} \\gset
\\if :held
\\echo held: :holder
\\quit
\\endif
{sql}"""


def temporary_schema(run: str) -> str:
    """Return the quoted name of the schema in which ``run`` borrows pgstattuple."""
    return quote_identifier(f"runbook_ops_{run}")
