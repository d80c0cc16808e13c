# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What migrations do."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._migration_sql import look_into
from ansible_collections.runbook.ops.plugins.module_utils._sql_text import SqlError


@pytest.mark.parametrize(
    ("script", "kinds"),
    [
        ("DROP TABLE a", "destroys"),
        ("drop /* x */ schema if exists b cascade", "destroys"),
        ("TRUNCATE a", "destroys"),
        ("DELETE FROM a WHERE b", "destroys"),
        ("UPDATE a SET b = 1", "destroys"),
        ("UPDATE a SET b = 1 WHERE c", ""),
        ("ALTER TABLE a DROP COLUMN b", "destroys"),
        ("ALTER TABLE a DROP b", "destroys"),
        ("ALTER TABLE a DROP CONSTRAINT b", ""),
        ("ALTER TABLE a ALTER COLUMN b TYPE int USING b::int", "destroys"),
        ("ALTER TABLE a ALTER b SET DATA TYPE int", "destroys"),
        ("ALTER TABLE a ALTER b DROP NOT NULL", ""),
        ("ALTER TABLE a ALTER b SET DEFAULT 1", ""),
        ("ALTER TABLE a ADD COLUMN b int, DROP COLUMN c", "destroys"),
        ("ALTER TABLE a ADD b numeric(10, 2) DEFAULT (1), RENAME TO d", "breaks"),
        ("ALTER TABLE a RENAME COLUMN b TO c", "breaks"),
        ("ALTER TABLE a ALTER b SET NOT NULL", "breaks"),
        ("ALTER TABLE a ADD COLUMN b int NOT NULL", "breaks"),
        ("ALTER TABLE a ADD COLUMN b int NOT NULL DEFAULT 0", ""),
        ("ALTER TABLE a ADD COLUMN b bigserial NOT NULL", ""),
        ("ALTER TABLE a ADD COLUMN b int", ""),
        ("DROP VIEW v", "breaks"),
        ("REVOKE SELECT ON a FROM b", "breaks"),
        ("ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0)", "locks"),
        ("ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID", ""),
        ("ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES c", "locks"),
        ("ALTER TABLE a ADD CONSTRAINT c UNIQUE (b)", "locks"),
        ("ALTER TABLE a ADD CONSTRAINT c UNIQUE USING INDEX i", ""),
        ("CREATE INDEX i ON a (b)", "locks"),
        ("CREATE UNIQUE INDEX IF NOT EXISTS i ON ONLY a (b)", "locks"),
        ("CREATE INDEX CONCURRENTLY i ON a (b)", ""),
        ("DO $$ BEGIN DROP TABLE a; END $$", "unseen"),
        ("INSERT INTO a VALUES ('DROP TABLE b')", ""),
        ("CREATE TABLE a (b int NOT NULL); CREATE INDEX ON a (b); ALTER TABLE a ADD UNIQUE (b); DELETE FROM a", ""),
        (
            "CREATE TABLE IF NOT EXISTS a (b int); TRUNCATE a; DELETE FROM a; ALTER TABLE a DROP b",
            "destroys destroys destroys",
        ),
        ("CREATE TABLE a (b int); CREATE TABLE c (b int); TRUNCATE a, c", ""),
        ("CREATE TABLE a (b int); TRUNCATE a, ONLY users", "destroys"),
        ("UPDATE users SET n = (SELECT x FROM y WHERE z)", "destroys"),
        ("UPDATE users SET n = (SELECT x FROM y) WHERE id IN (SELECT 1)", ""),
        ("WITH g AS (DELETE FROM users RETURNING *) INSERT INTO old SELECT * FROM g", "destroys"),
        ("WITH g AS (SELECT 1) INSERT INTO a SELECT * FROM g ON CONFLICT DO UPDATE SET b = 1", ""),
        ("MERGE INTO users USING x ON a = b WHEN MATCHED THEN DELETE", "destroys"),
        ("EXPLAIN ANALYZE DELETE FROM users", "destroys"),
        ('ALTER TABLE a ALTER COLUMN "my col" TYPE int', "destroys"),
        ('ALTER TABLE a ALTER "my col" SET NOT NULL', "breaks"),
        ("ALTER TABLE a SET SCHEMA b", "breaks"),
        ("ALTER TABLE a ENABLE ROW LEVEL SECURITY", "breaks"),
        ("ALTER TABLE a DETACH PARTITION b", "breaks"),
        ("ALTER TYPE a DROP ATTRIBUTE b", "destroys"),
        ("ALTER FUNCTION f() SET SCHEMA b", "breaks"),
        ("DROP ROLE app", "breaks"),
        ("DROP FOREIGN TABLE a", "destroys"),
        ("CALL clean_up()", "unseen"),
        ('CREATE TABLE "A" (b int); ALTER TABLE a DROP b', "destroys"),
        ("CREATE TABLE s.a (b int); ALTER TABLE s.a DROP b; ALTER TABLE t.a DROP b", "destroys"),
    ],
)
def test_each_statement_is_judged(script: str, kinds: str) -> None:
    assert " ".join(finding.kind for finding in look_into(script).findings) == kinds


def test_a_finding_tells_line_and_statement() -> None:
    (finding,) = look_into("SELECT 1;\nDROP TABLE\n  a").findings
    assert (finding.line, finding.statement) == (2, "DROP TABLE a")


def test_a_transaction_around_all_is_taken_for_ours() -> None:
    script = look_into("BEGIN;\nSELECT 1;\nSELECT 2;\nCOMMIT;")
    assert [one.plain for one in script.statements] == ["SELECT 1", "SELECT 2"]


def test_what_cannot_be_in_a_transaction_stands_alone() -> None:
    assert look_into("CREATE INDEX CONCURRENTLY i ON a (b)").alone
    assert look_into("REINDEX TABLE CONCURRENTLY a").alone
    assert not look_into("CREATE INDEX i ON a (b)").alone
    with pytest.raises(
        SqlError, match="line 2 cannot be in a transaction: put this statement into a migration of its own"
    ):
        look_into("SELECT 1;\nVACUUM a")


@pytest.mark.parametrize("script", ["SELECT 1;\nCOMMIT;\nSELECT 2", "BEGIN;\nROLLBACK;\nCOMMIT"])
def test_a_transaction_in_the_middle_is_refused(script: str) -> None:
    with pytest.raises(SqlError, match=r"line 2 is \w+: a migration is one transaction already"):
        look_into(script)
