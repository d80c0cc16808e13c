# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which statements destroy data, break the release that runs, or lock others out. Private to this collection.

Which one takes which lock: https://www.postgresql.org/docs/current/explicit-locking.html
"""

from __future__ import annotations

import re

DESTROYS, BREAKS, LOCKS, UNSEEN = "destroys", "breaks", "locks", "unseen"
CONSENT = (DESTROYS, BREAKS)  # what somebody has to agree to

NAME = r'(?:"(?:[^"]|"")*"|[^\s"(),;.]+)(?: \. (?:"(?:[^"]|"")*"|[^\s"(),;.]+))?'
TABLE = rf"ALTER (?:FOREIGN )?TABLE (?:IF EXISTS )?(?:ONLY )?(?P<table>{NAME}) (?:\* )?"
# With IF NOT EXISTS it may be there already, full of rows.
NEW = re.compile(
    rf"CREATE (?:(?:GLOBAL |LOCAL )?(?:TEMP|TEMPORARY|UNLOGGED) )?TABLE (?!IF NOT EXISTS )(?P<table>{NAME})"
)
NAMES = rf"{NAME}(?: \*)?(?: , (?:ONLY )?{NAME}(?: \*)?)*"

# One statement: what it is, and in words.
RULES: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), kind, says)
    for pattern, kind, says in (
        (
            r"DROP (?:TABLE|SCHEMA|DATABASE|SEQUENCE|EXTENSION|OWNED|TYPE|DOMAIN|SERVER"
            r"|FOREIGN TABLE|MATERIALIZED VIEW)\b",
            DESTROYS,
            "drops what may hold data",
        ),
        (rf"TRUNCATE (?:TABLE )?(?:ONLY )?(?P<table>{NAMES})", DESTROYS, "empties a table"),
        (rf"DELETE FROM (?:ONLY )?(?P<table>{NAME})", DESTROYS, "deletes rows"),  # noqa: S608  # a pattern, no query
        (rf"UPDATE (?:ONLY )?(?P<table>{NAME})(?!.* WHERE )", DESTROYS, "changes every row"),
        (
            rf"(?:WITH|EXPLAIN|COPY|MERGE|PREPARE)\b.*\b(?:DELETE\b|UPDATE (?:ONLY )?{NAME} (?:AS )?(?:\S+ )?SET\b)",
            DESTROYS,
            "deletes or changes rows within another statement",
        ),
        (
            r"DROP (?:VIEW|FUNCTION|PROCEDURE|ROUTINE|AGGREGATE|TRIGGER|RULE|ROLE|USER|GROUP)\b",
            BREAKS,
            "drops what the running release may use",
        ),
        (r"ALTER TYPE .* DROP ATTRIBUTE\b", DESTROYS, "drops a part of a type"),
        (r"ALTER .* SET SCHEMA\b", BREAKS, "moves what the running release uses"),
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
        (r"(?:DO|CALL|EXECUTE)\b", UNSEEN, "runs what was not looked into"),
    )
)
# One action of ALTER TABLE.
ACTIONS: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), kind, says)
    for pattern, kind, says in (
        (r"DROP (?!CONSTRAINT\b)", DESTROYS, "drops a column"),
        (
            rf"ALTER (?:COLUMN )?{NAME} (?:SET DATA )?TYPE\b",
            DESTROYS,
            "changes the type of a column, and writes the whole table anew while nobody reads it",
        ),
        (r"RENAME\b", BREAKS, "renames what the running release uses"),
        (r"SET SCHEMA\b", BREAKS, "moves what the running release uses"),
        (r"DETACH PARTITION\b", BREAKS, "takes rows out of the table that the running release reads"),
        (r"(?:ENABLE|FORCE) ROW LEVEL SECURITY", BREAKS, "hides rows from the running release"),
        (rf"ALTER (?:COLUMN )?{NAME} SET NOT NULL", BREAKS, "refuses rows that the running release may write"),
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
