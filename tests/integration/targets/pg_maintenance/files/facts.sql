-- SPDX-License-Identifier: GPL-3.0-or-later
-- What the module may have changed, asked without it.
SELECT json_build_object(
  'dead', (SELECT json_object_agg(relname, n_dead_tup) FROM pg_stat_user_tables),
  'bytes', (SELECT json_object_agg(relname, pg_relation_size(oid)) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('i', 'r')),
  'files', (SELECT json_object_agg(relname, relfilenode) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('i', 'r', 'm')),
  'vacuums', (SELECT json_object_agg(relname, vacuum_count) FROM pg_stat_user_tables),
  'invalid', (SELECT coalesce(json_agg(indexrelid::regclass::text), '[]') FROM pg_index WHERE NOT indisvalid),
  'extensions', (SELECT count(*) FROM pg_extension WHERE extname = 'pgstattuple'),
  'rows', (SELECT json_build_array((SELECT count(*) FROM "Sick ""One"""), (SELECT count(*) FROM parts), (SELECT count(*) FROM seen), (SELECT count(*) FROM healthy))));
