-- SPDX-License-Identifier: GPL-3.0-or-later
-- A database with one of everything that a dump may get wrong. The roles app, "Read Only" and tenant are there already.
ALTER ROLE app IN DATABASE zoo SET statement_timeout = '5s';
CREATE SCHEMA "Big.Schema" AUTHORIZATION app;
CREATE EXTENSION pg_trgm; CREATE EXTENSION citext SCHEMA "Big.Schema"; CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email varchar(200) NOT NULL UNIQUE, status varchar(20) DEFAULT 'new' CHECK (status IN ('new', 'active', 'gone')), mood mood, n posint, p pair, tags text[], doc jsonb, at timestamptz DEFAULT now(),
 kind varchar(3)[] CHECK (kind <@ ARRAY['a','b']::varchar[]), price numeric(10,2) CHECK (price >= 0 AND price < 1e6), gen int GENERATED ALWAYS AS (length(email)) STORED);
INSERT INTO users (email, mood, n, p, tags, doc, kind, price) SELECT 'u'||g||'@x.test', 'ok', g, ROW(g,'b')::pair, ARRAY['x','y'], '{"a":1}', '{a}', g FROM generate_series(1,1000) g;
CREATE INDEX ON users USING gin (email gin_trgm_ops); CREATE INDEX ON users (lower(email)) WHERE status IN ('new','active');
CREATE TABLE "Sick ""One""; -- 'x'" (id serial PRIMARY KEY, "Weird Col" text, "select" int);
INSERT INTO "Sick ""One""; -- 'x'" ("Weird Col") SELECT E'a\tb\n\\.' FROM generate_series(1,7);
CREATE TABLE "Big.Schema"."Tab.le" (x "Big.Schema".citext); INSERT INTO "Big.Schema"."Tab.le" VALUES ('A');
CREATE TABLE empty_one (id int);
CREATE TABLE no_columns (); INSERT INTO no_columns DEFAULT VALUES;
CREATE UNLOGGED TABLE fleeting (id int); INSERT INTO fleeting SELECT generate_series(1,5);
CREATE TABLE events (id bigserial, at date NOT NULL, kind text, PRIMARY KEY (id, at, kind)) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (kind);
CREATE TABLE events_2026_a PARTITION OF events_2026 FOR VALUES IN ('a'); CREATE TABLE events_rest PARTITION OF events DEFAULT;
INSERT INTO events (at, kind) SELECT '2025-06-01', 'a' FROM generate_series(1,10); INSERT INTO events (at, kind) SELECT '2026-06-01', 'a' FROM generate_series(1,20); INSERT INTO events(at,kind) VALUES ('2030-01-01','z');
CREATE INDEX ON events (kind);
CREATE TABLE parent (a int, b text); CREATE TABLE child (c int) INHERITS (parent); ALTER TABLE parent ADD COLUMN d date; INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2),(3);
CREATE VIEW v_users AS SELECT u.id, u.email, e.kind FROM users u LEFT JOIN (events e JOIN parent p ON p.a = e.id) ON e.id = u.id WHERE u.status IN ('new','active') AND u.price BETWEEN 1 AND 5;
CREATE VIEW v_nat AS SELECT * FROM parent NATURAL JOIN child; CREATE VIEW v_u AS SELECT a, p.b FROM parent p JOIN child c USING (a) UNION SELECT 1,'x' ORDER BY 1;
CREATE MATERIALIZED VIEW mv AS SELECT count(*) n FROM users; CREATE MATERIALIZED VIEW mv2 AS SELECT 1 AS one WITH NO DATA; CREATE UNIQUE INDEX ON mv (n);
DELETE FROM users WHERE id > 990;
CREATE FUNCTION f_add(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE AS $$
-- comment in body

SET LOCAL x = 1;
SELECT a + b; $$;
CREATE OR REPLACE FUNCTION f_add(a text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN a || 'x'; END $$;
CREATE FUNCTION f_atomic(x int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT x + CASE WHEN x IN (1,2) THEN 1 ELSE 2 END; END;
CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.b := coalesce(NEW.b,'t'); RETURN NEW; END $$;
CREATE TRIGGER t1 BEFORE INSERT ON parent FOR EACH ROW WHEN (NEW.a IN (1,2)) EXECUTE FUNCTION trg();
CREATE RULE r1 AS ON DELETE TO parent WHERE old.b IN ('x','y') DO INSTEAD NOTHING;
CREATE PROCEDURE pr(a int) LANGUAGE sql AS $$ SELECT 1 $$;
CREATE AGGREGATE agg(int) (sfunc = int4pl, stype = int, initcond = '0');
CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq);
CREATE SEQUENCE "Odd Seq" START 5 INCREMENT 3; SELECT nextval('"Odd Seq"'), nextval('"Odd Seq"'); CREATE SEQUENCE never_called;
ALTER TABLE users ENABLE ROW LEVEL SECURITY; CREATE POLICY pol ON users TO "Read Only" USING (status IN ('new','active'));
GRANT SELECT ON users TO "Read Only"; GRANT USAGE ON SCHEMA "Big.Schema" TO "Read Only"; ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO tenant;
ALTER TABLE parent OWNER TO app; COMMENT ON TABLE parent IS 'multi
-- line
comment';
ALTER TABLE users ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES users(id) NOT VALID; ALTER TABLE parent ADD CHECK (b::varchar(5) IN ('a','b') OR a > 0);
CREATE STATISTICS st (dependencies) ON a, d FROM parent; CREATE TABLE excl (r int4range, EXCLUDE USING gist (r WITH &&));
CREATE PUBLICATION pubz FOR TABLE parent;
CREATE SUBSCRIPTION subz CONNECTION 'host=127.0.0.1 port=1' PUBLICATION x WITH (connect=false, slot_name = NONE, enabled=false);
CREATE FOREIGN DATA WRAPPER dummy; CREATE SERVER srv FOREIGN DATA WRAPPER dummy; CREATE FOREIGN TABLE ft (a int) SERVER srv;
CREATE FUNCTION evt() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$; CREATE EVENT TRIGGER et ON ddl_command_end EXECUTE FUNCTION evt();
SELECT lo_from_bytea(0, 'large'), lo_from_bytea(0, 'larger');
CREATE TABLE dropme (a int, b int, c int DEFAULT 3); ALTER TABLE dropme DROP COLUMN b; INSERT INTO dropme VALUES (1);
CREATE INDEX bad_ix ON dropme (a); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'bad_ix'::regclass;