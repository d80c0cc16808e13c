-- SPDX-License-Identifier: GPL-3.0-or-later
-- Names are as awkward as they get; the words compress well.
CREATE ROLE clerk LOGIN PASSWORD 's3cr3t-of-the-clerk';
GRANT pg_read_all_data TO clerk;
CREATE TABLE "Sick ""One"" 'x'; --" (id serial PRIMARY KEY, word text);
INSERT INTO "Sick ""One"" 'x'; --" (word) SELECT repeat('x', 900) FROM generate_series(1, 20000);
CREATE TABLE empty (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz);
CREATE TABLE parts (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE parts_old PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE parts_new PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT g, '2025-12-01'::date + g FROM generate_series(1, 100) g;
CREATE VIEW words AS SELECT DISTINCT word FROM "Sick ""One"" 'x'; --";
SELECT lo_from_bytea(424242, 'a large object');
GRANT SELECT ON LARGE OBJECT 424242 TO clerk;
