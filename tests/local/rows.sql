-- SPDX-License-Identifier: GPL-3.0-or-later
-- Tenants with all that makes their rows hard to move: references in a circle and to themselves, names in capitals, values that look
-- like the end of the data, numbers that the server gives, a table without a key, partitions, and triggers.
CREATE TABLE plans (id int PRIMARY KEY, name text);
INSERT INTO plans SELECT n, 'plan ' || n FROM generate_series(1, 3) n;
CREATE TABLE tenants (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name text NOT NULL, plan_id int REFERENCES plans, owner_id int);
CREATE TABLE users (
  id serial PRIMARY KEY, tenant_id bigint NOT NULL REFERENCES tenants, email text UNIQUE, profile json,
  "Shoe Size" float8, seen interval, key bytea, note text, "from" point
);
ALTER TABLE tenants ADD FOREIGN KEY (owner_id) REFERENCES users;
CREATE TABLE "Comments" (
  user_id int REFERENCES users, number int, parent_user int, parent_number int, body text NOT NULL,
  length int GENERATED ALWAYS AS (length(body)) STORED,
  PRIMARY KEY (user_id, number), FOREIGN KEY (parent_user, parent_number) REFERENCES "Comments"
);
CREATE TABLE log (tenant_id bigint REFERENCES tenants, what text);
CREATE TABLE events (id bigserial, user_id int REFERENCES users, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE messages (id serial PRIMARY KEY, sender int NOT NULL REFERENCES users, receiver int REFERENCES users, text text);
CREATE TABLE audit (tenant_id bigint, what text);
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO public.audit VALUES (NULL, TG_OP || ' ' || TG_TABLE_NAME); NEW.note := 'a trigger was here'; RETURN NEW; END $$;
-- rows
INSERT INTO tenants (name, plan_id) SELECT 'tenant ' || n, 1 + n % 3 FROM generate_series(1, 9) n;
INSERT INTO users (tenant_id, email, profile, "Shoe Size", seen, key, note, "from")
  SELECT 1 + n % 9, CASE WHEN n % 7 > 0 THEN 'user' || n || '@example.com' END, '{"a": [1,   2]}', 0.1 + n / 3.0, n * interval '1 day 2 seconds',
    decode(md5(n::text), 'hex'), (ARRAY[E'\\.', '', NULL, E'tab\t line\nbreak \\ \\N', '\x', 'ünï', E'\\.\n\\.'])[1 + n % 7], point(n, 0.1)
  FROM generate_series(1, 90) n;
UPDATE tenants t SET owner_id = (SELECT min(id) FROM users WHERE tenant_id = t.id);
INSERT INTO "Comments" (user_id, number, body) SELECT 1 + n % 90, 1, 'first ' || n FROM generate_series(1, 90) n;
INSERT INTO "Comments" (user_id, number, parent_user, parent_number, body) SELECT user_id, 2, user_id, 1, 'reply' FROM "Comments";
INSERT INTO log SELECT 1 + n % 9, 'the same' FROM generate_series(1, 45) n;
INSERT INTO events (user_id, at) SELECT 1 + n % 90, DATE '2025-06-01' + n * 3 FROM generate_series(1, 180) n;
INSERT INTO messages (sender, receiver, text) SELECT n, n + 9, 'among us' FROM generate_series(1, 40) n;
INSERT INTO audit SELECT n, 'x' FROM generate_series(1, 9) n;
-- triggers
CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION shout();
CREATE TRIGGER loud BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION shout();
ALTER TABLE users ENABLE ALWAYS TRIGGER loud;
