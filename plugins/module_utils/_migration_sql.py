# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what the statements of a migration do to data, to the release that runs, and to who waits for a lock. Private to this collection.

While a release is deployed, the old one and the new one meet the same schema. What both can live with is added first (expand); what the
old one needs is taken away by a later release (contract). Which statement takes which lock: https://www.postgresql.org/docs/current/explicit-locking.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._sql_text import SqlError, Statement, split

DESTROYS, BREAKS, LOCKS, UNSEEN = "destroys", "breaks", "locks", "unseen"
CONSENT = (DESTROYS, BREAKS)  # what somebody has to agree to

NAME = r'(?:"(?:[^"]|"")*"|[^\s"(),;.]+)(?: \. (?:"(?:[^"]|"")*"|[^\s"(),;.]+))?'
TABLE = rf"ALTER (?:FOREIGN )?TABLE (?:IF EXISTS )?(?:ONLY )?(?P<table>{NAME}) (?:\* )?"
NEW = re.compile(
    rf"CREATE (?:(?:GLOBAL |LOCAL )?(?:TEMP|TEMPORARY|UNLOGGED) )?TABLE (?:IF NOT EXISTS )?(?P<table>{NAME})"
)

# One statement: what it is, and in words.
RULES: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), kind, says)
    for pattern, kind, says in (
        (
            r"DROP (?:TABLE|SCHEMA|DATABASE|SEQUENCE|EXTENSION|OWNED|TYPE|DOMAIN|MATERIALIZED VIEW)\b",
            DESTROYS,
            "drops what may hold data",
        ),
        (rf"TRUNCATE (?:TABLE )?(?:ONLY )?(?P<table>{NAME})", DESTROYS, "empties a table"),
        (rf"DELETE FROM (?:ONLY )?(?P<table>{NAME})", DESTROYS, "deletes rows"),  # noqa: S608  # a pattern, no query
        (rf"UPDATE (?:ONLY )?(?P<table>{NAME})(?!.* WHERE )", DESTROYS, "changes every row"),
        (
            r"DROP (?:VIEW|FUNCTION|PROCEDURE|ROUTINE|AGGREGATE|TRIGGER|RULE)\b",
            BREAKS,
            "drops what the running release may use",
        ),
        (r"REVOKE\b", BREAKS, "takes rights away that the running release may need"),
        (
            r"ALTER (?:VIEW|SCHEMA|TYPE|SEQUENCE|FUNCTION|MATERIALIZED VIEW) .* RENAME\b",
            BREAKS,
            "renames what the running release may use",
        ),
        (
            rf"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).*? ON (?:ONLY )?(?P<table>{NAME})",
            LOCKS,
            "lets nobody write to the table: write CREATE INDEX CONCURRENTLY",
        ),
        (r"REINDEX (?!.*CONCURRENTLY)", LOCKS, "lets nobody write to the table: write REINDEX … CONCURRENTLY"),
        (r"REFRESH MATERIALIZED VIEW (?!CONCURRENTLY)", LOCKS, "lets nobody read the view: write CONCURRENTLY"),
        (r"(?:VACUUM (?:\( )?FULL|CLUSTER|LOCK)\b", LOCKS, "lets nobody read the table"),
        (r"DO\b", UNSEEN, "runs a block that was not looked into"),
    )
)
# One action of ALTER TABLE.
ACTIONS: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), kind, says)
    for pattern, kind, says in (
        (r"DROP (?!CONSTRAINT\b)", DESTROYS, "drops a column"),
        (
            r"ALTER (?:COLUMN )?\S+ (?:SET DATA )?TYPE\b",
            DESTROYS,
            "changes the type of a column, and writes the whole table anew while nobody reads it",
        ),
        (r"RENAME\b", BREAKS, "renames what the running release uses"),
        (r"ALTER (?:COLUMN )?\S+ SET NOT NULL", BREAKS, "refuses rows that the running release may write"),
        (
            r"ADD (?:COLUMN )?(?!CONSTRAINT|PRIMARY|UNIQUE|CHECK|FOREIGN|EXCLUDE)"
            r"(?=.* NOT NULL)(?!.* DEFAULT )(?!.* GENERATED )(?!.*SERIAL)",
            BREAKS,
            "refuses rows of the running release, which does not know the column: give it a DEFAULT",
        ),
        (
            r"ADD (?:CONSTRAINT \S+ )?(?:CHECK|FOREIGN KEY)(?!.* NOT VALID)",
            LOCKS,
            "reads the whole table while nobody writes: add it NOT VALID, and VALIDATE it later",
        ),
        (
            r"ADD (?:CONSTRAINT \S+ )?(?:UNIQUE|PRIMARY KEY|EXCLUDE)(?!.* USING INDEX)",
            LOCKS,
            "builds an index while nobody reads: build it CONCURRENTLY before, and add it USING INDEX",
        ),
        (
            r"SET (?:TABLESPACE|LOGGED|UNLOGGED|ACCESS METHOD)",
            LOCKS,
            "writes the whole table anew while nobody reads it",
        ),
    )
)
ALTER = re.compile(TABLE + r"(?P<actions>.*)")
# What PostgreSQL refuses inside a transaction.
ALONE = re.compile(
    r"(?:CREATE (?:UNIQUE )?INDEX CONCURRENTLY|DROP INDEX CONCURRENTLY|REINDEX .*CONCURRENTLY|VACUUM|ALTER SYSTEM"
    r"|(?:CREATE|DROP) (?:DATABASE|TABLESPACE)|ALTER TABLE .* DETACH PARTITION .* CONCURRENTLY)\b"
)
FIRST, LAST = re.compile(r"BEGIN\b|START TRANSACTION\b"), re.compile(r"(?:COMMIT|END)\b")
TRANSACTION = re.compile(
    r"(?:BEGIN|START TRANSACTION|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE TRANSACTION)\b"
)


class Finding(NamedTuple):
    """What one statement does."""

    line: int
    kind: str  # DESTROYS, BREAKS, LOCKS or UNSEEN
    says: str
    statement: str  # its first words


class Script(NamedTuple):
    """A migration as it is run."""

    statements: list[Statement]  # without the transaction around them
    alone: bool  # its one statement cannot be in a transaction
    findings: list[Finding]


def look_into(script: str) -> Script:
    """Return what ``script`` does.

    :raises SqlError: it is not understood, or has a transaction of its own in the middle; the message names the line.
    """
    statements = split(script)
    if len(statements) > 1 and FIRST.match(statements[0].plain) and LAST.match(statements[-1].plain):
        statements = statements[1:-1]
    alone = [one for one in statements if ALONE.match(one.plain)]
    for one in statements:
        if TRANSACTION.match(one.plain):
            raise SqlError(f"line {one.line} is {one.words[0]}: a migration is one transaction already, take it out")
    if alone and len(statements) > 1:
        raise SqlError(
            f"line {alone[0].line} cannot be in a transaction: put this statement into a migration of its own"
        )
    return Script(statements, bool(alone), list(_findings(statements)))


def _findings(statements: list[Statement]) -> Iterator[Finding]:
    made: set[str] = set()  # a table that the migration itself makes holds nothing, and nobody knows it
    for one in statements:
        new = NEW.match(one.plain)
        if new:
            made.add(new["table"])
        for kind, says, table in _judge(one.plain):
            if table not in made:
                yield Finding(one.line, kind, says, _short(one))


def _judge(plain: str) -> Iterator[tuple[str, str, str | None]]:
    altered = ALTER.match(plain)
    if altered:
        for action in _actions(altered["actions"]):
            for pattern, kind, says in ACTIONS:
                if pattern.match(action):
                    yield kind, says, altered["table"]
        return
    for pattern, kind, says in RULES:
        met = pattern.match(plain)
        if met:
            yield kind, says, met.groupdict().get("table")


def _actions(words: str) -> Iterator[str]:
    """Yield the actions of an ALTER TABLE: commas within brackets do not part them."""
    depth = 0
    action: list[str] = []
    for word in words.split(" "):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == "," and not depth:
            yield " ".join(action)
            action = []
        else:
            action.append(word)
    yield " ".join(action)


def _short(statement: Statement) -> str:
    words = " ".join(statement.text.split())
    return words if len(words) <= 60 else f"{words[:59]}…"
