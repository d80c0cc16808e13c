-- SPDX-License-Identifier: GPL-3.0-or-later
-- The database of the stand-in for Owlivion Mail: twenty tables with a little data in each.
CREATE TABLE users (id serial PRIMARY KEY, email text NOT NULL UNIQUE, name text, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE sync_data (id bigserial PRIMARY KEY, user_id int NOT NULL REFERENCES users, data_type text NOT NULL,
  payload jsonb, created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX sync_data_user_id_idx ON sync_data (user_id);
CREATE INDEX sync_data_created_at_idx ON sync_data (created_at);
CREATE TABLE devices (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users, name text, last_seen_at timestamptz);
CREATE TABLE accounts (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users, address text NOT NULL, server text);
CREATE TABLE folders (id serial PRIMARY KEY, account_id int NOT NULL REFERENCES accounts, name text NOT NULL);
CREATE TABLE messages (id bigserial PRIMARY KEY, folder_id int NOT NULL, message_id text NOT NULL, subject text);
CREATE INDEX messages_message_id_idx ON messages (message_id);
CREATE TABLE attachments (id serial PRIMARY KEY, message_id bigint NOT NULL, name text, size_bytes bigint);
CREATE TABLE contacts (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users, name text, address text);
CREATE TABLE contact_groups (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users, name text);
CREATE TABLE calendars (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users, name text);
CREATE TABLE events (id serial PRIMARY KEY, calendar_id int NOT NULL REFERENCES calendars, title text, starts_at timestamptz);
CREATE TABLE settings (user_id int NOT NULL REFERENCES users, key text NOT NULL, value jsonb, PRIMARY KEY (user_id, key));
CREATE TABLE sessions (id bigserial PRIMARY KEY, user_id int NOT NULL, agent text, expires_at timestamptz NOT NULL);
CREATE TABLE sync_log (id bigserial PRIMARY KEY, user_id int NOT NULL, status text NOT NULL, detail text);
CREATE TABLE conflicts (id serial PRIMARY KEY, sync_data_id bigint NOT NULL, resolved boolean NOT NULL DEFAULT false);
CREATE TABLE api_tokens (id bigserial PRIMARY KEY, user_id int NOT NULL, fingerprint text NOT NULL);
CREATE INDEX api_tokens_fingerprint_idx ON api_tokens (fingerprint);
CREATE TABLE audit_log (id bigserial PRIMARY KEY, subject text NOT NULL, action text NOT NULL);
CREATE INDEX audit_log_subject_idx ON audit_log (subject);
CREATE TABLE notifications (id bigserial PRIMARY KEY, user_id int NOT NULL, text text NOT NULL, read boolean NOT NULL DEFAULT false);
CREATE TABLE rate_limits (key text PRIMARY KEY, hits int NOT NULL, until timestamptz NOT NULL);
CREATE TABLE schema_migrations (version text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());

INSERT INTO users (email, name) SELECT format('user%s@example.org', n), format('User %s', n) FROM generate_series(1, 500) n;
INSERT INTO sync_data (user_id, data_type, payload, created_at)
  SELECT n % 500 + 1, (ARRAY['mail', 'contacts', 'calendar'])[n % 3 + 1], jsonb_build_object('n', n), now() - n * interval '7 minutes'
  FROM generate_series(1, 3000) n;
INSERT INTO devices (user_id, name, last_seen_at) SELECT n, 'phone', now() - n * interval '1 hour' FROM generate_series(1, 500) n;
INSERT INTO accounts (user_id, address, server) SELECT n, format('user%s@example.org', n), 'imap.example.org' FROM generate_series(1, 500) n;
INSERT INTO folders (account_id, name) SELECT n % 500 + 1, (ARRAY['Inbox', 'Sent', 'Archive'])[n % 3 + 1] FROM generate_series(1, 1500) n;
INSERT INTO attachments (message_id, name, size_bytes) SELECT n, 'invoice.pdf', n * 100 FROM generate_series(1, 1000) n;
INSERT INTO contacts (user_id, name, address) SELECT n % 500 + 1, format('Contact %s', n), format('c%s@example.net', n) FROM generate_series(1, 2000) n;
INSERT INTO contact_groups (user_id, name) SELECT n, 'Family' FROM generate_series(1, 500) n;
INSERT INTO calendars (user_id, name) SELECT n, 'Private' FROM generate_series(1, 500) n;
INSERT INTO events (calendar_id, title, starts_at) SELECT n % 500 + 1, 'Meeting', now() + n * interval '1 hour' FROM generate_series(1, 1500) n;
INSERT INTO settings (user_id, key, value) SELECT n, 'theme', '"dark"' FROM generate_series(1, 500) n;
INSERT INTO conflicts (sync_data_id, resolved) SELECT n, n % 5 <> 0 FROM generate_series(1, 200) n;
INSERT INTO rate_limits (key, hits, until) SELECT format('192.0.2.%s', n), n, now() FROM generate_series(1, 200) n;
INSERT INTO schema_migrations (version) SELECT format('2026%s01_migration', lpad(n::text, 2, '0')) FROM generate_series(1, 10) n;
