-- SPDX-License-Identifier: GPL-3.0-or-later
-- A database with awkward names, partitions and a materialised view, part of it sick.
CREATE ROLE clerk LOGIN PASSWORD 'right';
CREATE TABLE healthy AS SELECT g AS id, md5(g::text) AS word FROM generate_series(1, 20000) g;
CREATE INDEX healthy_word ON healthy (word);

CREATE TABLE "Sick ""One""" (id int PRIMARY KEY, word text NOT NULL);
INSERT INTO "Sick ""One""" SELECT g, md5(g::text) FROM generate_series(1, 60000) g;
CREATE INDEX "It's; --" ON "Sick ""One""" (word);

CREATE TABLE parts (id int NOT NULL, word text NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (60000);
CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (60000) TO (120000);
INSERT INTO parts SELECT g, md5(g::text) FROM generate_series(1, 119999) g;
CREATE INDEX parts_word ON parts (word);

CREATE MATERIALIZED VIEW seen AS SELECT id, word FROM parts WHERE id <= 20000;
CREATE UNIQUE INDEX ON seen (id);

CREATE TABLE kept (id int PRIMARY KEY, word text NOT NULL);
INSERT INTO kept SELECT g, md5(g::text) FROM generate_series(1, 60000) g;
CREATE INDEX kept_word ON kept (word);
-- The server must have counted what was written before a vacuum counts anew.
SELECT pg_stat_force_next_flush();
VACUUM (ANALYZE);

DELETE FROM "Sick ""One""" WHERE id % 10 < 7;
DELETE FROM parts WHERE id < 60000 AND id % 10 < 7;
REFRESH MATERIALIZED VIEW CONCURRENTLY seen;
SELECT pg_stat_force_next_flush();
