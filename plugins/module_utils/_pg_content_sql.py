# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions that :mod:`_pg_content` asks. Private to this collection."""

from __future__ import annotations

# Only names that need it are quoted, by a rule of our own: the server's knows the key words of its version.
NAME = """CASE WHEN {0} ~ '^[a-z_][a-z0-9_]*$' THEN {0}::text ELSE '"' || replace({0}, '"', '""') || '"' END"""
FULL_NAME = f"{NAME.format('n.nspname')} || '.' || {NAME.format('c.relname')}"
# What pg_dump takes: not the system's, not what belongs to an extension, not temporary.
OURS = """n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '{0}'::regclass AND e.objid = {1}.oid AND e.deptype = 'e')"""
RELATIONS = f"""FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relpersistence <> 't' AND {OURS.format("pg_class", "c")}"""
HEAD = f"""
SELECT json_build_object(
  'server_version', current_setting('server_version'),
  'server_version_num', current_setting('server_version_num')::int,
  'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
  'database', datname, 'owner', pg_get_userbyid(datdba), 'encoding', pg_encoding_to_char(encoding),
  'collate', datcollate, 'ctype', datctype,
  'provider', coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
  'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
  'lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,
  'snapshot_at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
  'size_bytes', pg_database_size(d.oid),
  'grants', coalesce((SELECT json_agg(one::text) FROM unnest(datacl) one), '[]'),
  'extensions', coalesce((SELECT json_object_agg(extname, extversion) FROM pg_extension), '{{}}'),
  'large_objects', (SELECT count(*) FROM pg_largeobject_metadata),
  -- A setting with a dot is the application's own, and may be a secret: it is named, not told.
  'settings', (SELECT coalesce(json_agg(json_build_object('role', r.rolname, 'name', split_part(one, '=', 1), 'value',
      CASE WHEN split_part(one, '=', 1) !~ '[.]' THEN substr(one, strpos(one, '=') + 1) END) ORDER BY r.rolname, one), '[]')
    FROM pg_db_role_setting s CROSS JOIN unnest(setconfig) one LEFT JOIN pg_roles r ON r.oid = setrole
    WHERE setdatabase = d.oid),
  'roles', (SELECT json_agg(rolname ORDER BY rolname) FROM pg_roles WHERE oid = d.datdba OR oid IN (
      SELECT refobjid FROM pg_shdepend WHERE dbid = d.oid AND refclassid = 'pg_authid'::regclass UNION
      -- The first superuser owns without a trace in pg_shdepend.
      SELECT relowner FROM pg_class WHERE oid >= 16384 UNION SELECT proowner FROM pg_proc WHERE oid >= 16384 UNION
      SELECT nspowner FROM pg_namespace WHERE oid >= 16384)),
  'objects', json_build_object(
    'schemas', (SELECT count(*) FROM pg_namespace n WHERE {OURS.format("pg_namespace", "n")}),
    'partitioned tables', (SELECT count(*) {RELATIONS} AND relkind = 'p'),
    'views', (SELECT count(*) {RELATIONS} AND relkind = 'v'),
    'materialized views', (SELECT count(*) {RELATIONS} AND relkind = 'm'),
    'filled materialized views', (SELECT count(*) {RELATIONS} AND relkind = 'm' AND relispopulated),
    'foreign tables', (SELECT count(*) {RELATIONS} AND relkind = 'f'),
    'indexes', (SELECT count(*) FROM pg_index i WHERE indexrelid IN (SELECT c.oid {RELATIONS} AND relkind IN ('i', 'I'))
      AND (indisvalid OR indrelid IN (SELECT oid FROM pg_class WHERE relkind = 'p'))),
    'constraints', (SELECT count(*) FROM pg_constraint WHERE contype IN ('p', 'u', 'f', 'c', 'x') AND conparentid = 0
      AND coninhcount = 0 AND conrelid IN (SELECT c.oid {RELATIONS})),
    'triggers', (SELECT count(*) FROM pg_trigger t WHERE NOT tgisinternal
      AND coalesce(to_jsonb(t) ->> 'tgparentid', '0') = '0' AND tgrelid IN (SELECT c.oid {RELATIONS})),
    'policies', (SELECT count(*) FROM pg_policy WHERE polrelid IN (SELECT c.oid {RELATIONS})),
    'functions', (SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
      WHERE {OURS.format("pg_proc", "p")}
      -- Those that come with a range type are nobody's to make.
      AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')),
    'types', (SELECT count(*) FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
      LEFT JOIN pg_class c ON c.oid = typrelid
      WHERE (typtype IN ('e', 'd', 'r') OR relkind = 'c') AND {OURS.format("pg_type", "t")})))
FROM pg_database d WHERE datname = current_database();
"""  # noqa: S608  # put together from constants only
# An unlogged table has no rows on a standby, and cannot be read there.
COUNTS = f"""
SELECT format('SELECT json_build_array(''table'', %L, count(*)) FROM ONLY %I.%I', {FULL_NAME}, n.nspname, c.relname)
{RELATIONS} AND relkind = 'r' AND NOT (relpersistence = 'u' AND pg_is_in_recovery()) ORDER BY {FULL_NAME} \\gexec
SELECT format('SELECT json_build_array(''sequence'', %L, last_value, is_called) FROM %I.%I', {FULL_NAME}, n.nspname, c.relname)
{RELATIONS} AND relkind = 'S' AND NOT (relpersistence = 'u' AND pg_is_in_recovery()) ORDER BY {FULL_NAME} \\gexec
"""  # noqa: S608  # the same
# Whether indexes can be compared with their tables here.
AMCHECK_CAN = """
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck')
  AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
"""
# In a schema of its own, which goes with the transaction. A broken one is an error that names it. All are checked for their order;
# to look for each row of the table in them takes six times as long, so the smallest of the application are, up to ``most_bytes``.
AMCHECK = """
BEGIN;
SET LOCAL client_min_messages = error;
CREATE SCHEMA runbook_ops_amcheck;
SELECT NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'amcheck') AS absent \\gset
\\if :absent
CREATE EXTENSION amcheck SCHEMA runbook_ops_amcheck;
\\endif
SELECT quote_ident(nspname) AS place FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'amcheck' \\gset
SELECT count(:place.bt_index_check(oid, together <= {most_bytes})) FROM (
  SELECT c.oid, sum(pg_relation_size(c.oid)) OVER (ORDER BY c.oid < 16384, pg_relation_size(c.oid), c.oid) AS together
  FROM pg_index i JOIN pg_class c ON c.oid = indexrelid
  WHERE c.relkind = 'i' AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree') AND c.relpersistence <> 't'
    AND indisvalid AND indisready) listed;
ROLLBACK;
"""
