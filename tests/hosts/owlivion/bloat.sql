-- SPDX-License-Identifier: GPL-3.0-or-later
-- Make some tables and indexes as unkempt as a year without maintenance makes them, the others well kept. About 150 MB.
SET synchronous_commit = off;

-- Four tables with many dead rows. Somebody switched autovacuum off for them, "for now".
ALTER TABLE sync_data SET (autovacuum_enabled = false);
ALTER TABLE sessions SET (autovacuum_enabled = false);
ALTER TABLE sync_log SET (autovacuum_enabled = false);
ALTER TABLE notifications SET (autovacuum_enabled = false);
INSERT INTO sync_data (user_id, data_type, payload, created_at)
  SELECT n % 500 + 1, (ARRAY['mail', 'contacts', 'calendar'])[n % 3 + 1], jsonb_build_object('n', n, 'text', repeat('x', 60)),
         now() - n * interval '20 seconds'
  FROM generate_series(1, 30000) n;
UPDATE sync_data SET payload = payload || '{"seen": true}';
INSERT INTO sessions (user_id, agent, expires_at) SELECT n % 500, repeat('agent ', 12), now() FROM generate_series(1, 60000) n;
DELETE FROM sessions WHERE id % 10 < 7;
INSERT INTO sync_log (user_id, status, detail) SELECT n % 500, 'open', repeat('detail ', 12) FROM generate_series(1, 60000) n;
UPDATE sync_log SET status = 'done';
INSERT INTO notifications (user_id, text) SELECT n % 500, repeat('news ', 12) FROM generate_series(1, 60000) n;
UPDATE notifications SET read = true WHERE id % 2 = 0;

-- Three indexes most of whose entries are gone, below tables that are vacuumed.
INSERT INTO messages (folder_id, message_id, subject) SELECT n % 1500, md5(n::text), 'subject' FROM generate_series(1, 150000) n;
INSERT INTO api_tokens (user_id, fingerprint) SELECT n % 500, md5(n::text) FROM generate_series(1, 120000) n;
INSERT INTO audit_log (subject, action) SELECT md5(n::text), 'login' FROM generate_series(1, 120000) n;
DELETE FROM messages WHERE id % 8 <> 0;
DELETE FROM api_tokens WHERE id % 8 <> 0;
DELETE FROM audit_log WHERE id % 8 <> 0;
-- The counters of the deletions reach the statistics now: later, they would count the rows that VACUUM removes as dead.
SELECT pg_stat_force_next_flush();
REINDEX INDEX messages_pkey;
REINDEX INDEX api_tokens_pkey;
REINDEX INDEX audit_log_pkey;
VACUUM (ANALYZE) messages, api_tokens, audit_log;

-- The others are in order; the unkempt ones have statistics too.
VACUUM (ANALYZE) users, devices, accounts, folders, attachments, contacts, contact_groups, calendars, events, settings, conflicts,
  rate_limits, schema_migrations;
SELECT pg_stat_force_next_flush();
ANALYZE sync_data, sessions, sync_log, notifications;
