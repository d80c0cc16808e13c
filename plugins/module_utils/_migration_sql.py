# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what the statements of a migration do to data, to the release that runs, and to who waits for a lock. Private to this collection.

While a release is deployed, the old one and the new one meet the same schema. What both can live with is added first (expand); what the
old one needs is taken away by a later release (contract).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._migration_rules import ACTIONS, NEW, RULES, TABLE
from ansible_collections.runbook.ops.plugins.module_utils._sql_text import SqlError, Statement, split

TABLES = re.compile(r"(?: \*)? , (?:ONLY )?")
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
        for kind, says, tables in _judge(one.plain):
            if tables is None or not all(table in made for table in TABLES.split(tables)):
                yield Finding(one.line, kind, says, _short(one))


def _judge(plain: str) -> Iterator[tuple[str, str, str | None]]:
    altered = ALTER.match(plain)
    if altered:
        for action in _actions(altered["actions"]):
            for pattern, kind, says in ACTIONS:
                if pattern.match(action):
                    yield kind, says, altered["table"]
        return
    # The WHERE of a query within an UPDATE is not its own.
    words = _outside_brackets(plain) if plain.startswith("UPDATE ") else plain
    for pattern, kind, says in RULES:
        met = pattern.match(words)
        if met:
            yield kind, says, met.groupdict().get("table")


def _outside_brackets(words: str) -> str:
    depth, kept = 0, []
    for word in words.split(" "):
        depth += word == "("
        if not depth:
            kept.append(word)
        depth -= word == ")"
    return " ".join(kept)


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
