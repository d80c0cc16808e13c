-- Copyright: the runbook.ops authors
-- SPDX-License-Identifier: GPL-3.0-or-later
-- People and tasks of some weeks, in the tables that the migrations made.
INSERT INTO "User" ("email", "name", "createdAt")
    SELECT format('person%s@example.com', n), format('Person %s', n), now() - n * interval '11 hours'
    FROM generate_series(1, 120) AS n;
INSERT INTO "Task" ("title", "done", "dueAt", "createdAt", "userId")
    SELECT format('Task %s', n), n % 3 = 0, now() + n % 30 * interval '1 day', now() - n * interval '17 minutes', n % 120 + 1
    FROM generate_series(1, 3000) AS n;
ANALYZE;
