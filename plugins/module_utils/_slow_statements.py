# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which statements of PostgreSQL take long: what pg_stat_statements counts, in the words of its version. Private to this collection.

The columns follow the version of the extension, which may be older than the server's: it is they that are looked at.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

OWN = "/* runbook.ops performance */"  # what the review itself asks is none of the application's
MOST = 1000  # statements that are counted, those with most time
LONGEST = 160  # characters of a statement that are shown
Counts = Mapping[str, Sequence[float]]  # by identity: calls, milliseconds, rows

TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|/\*.*?(?:\*/|$))
    |(?P<value>[eE]'(?:[^'\\]|\\.|'')*(?:'|$)|(?:[uU]&|[bBxXnN])?'(?:[^']|'')*(?:'|$)|\$(?P<tag>[A-Za-z_]*)\$.*?(?:\$(?P=tag)\$|$)
        |(?<![\w$"])[-+]?\d[\d_]*(?:\.\d*)?(?:[eE][-+]?\d+)?|\$\d+)
    |(?P<name>"(?:[^"]|"")*"|[A-Za-z_\x80-\U0010ffff][\w$]*)
    |(?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)
COUNTERS = """
SELECT OWN json_build_object('reset', RESET, 'counts', (SELECT coalesce(json_agg(json_build_array(id, calls, total, rows)), '[]') FROM (
  SELECT coalesce(s.queryid::text, '') AS id, sum(s.calls)::bigint AS calls, round(sum(s.TOTAL)::numeric, 3) AS total, sum(s.rows)::bigint AS rows
  FROM SCHEMA.pg_stat_statements(false) AS s
  WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) TOP
  GROUP BY 1 ORDER BY 3 DESC LIMIT MOST) AS counted));
"""
RESET = "(SELECT json_build_object('at', extract(epoch FROM stats_reset), 'dropped', dealloc) FROM SCHEMA.pg_stat_statements_info)"
TEXTS = """
SELECT OWN coalesce(json_object_agg(id, query), '{}') FROM (
  SELECT queryid::text AS id, min(left(query, 4000)) AS query FROM SCHEMA.pg_stat_statements
  WHERE queryid IN (LISTED) AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY 1) AS texts;
"""
VALUES = re.compile(r"\?(?: ?, ?\?)+")


class Statement(NamedTuple):
    """What one statement cost in a period."""

    identity: str
    calls: int
    total_ms: float
    rows: int
    share_percent: float  # of the time of all statements

    @property
    def mean_ms(self) -> float:
        """Time of one call."""
        return round(self.total_ms / max(1, self.calls), 2)


def normalise(query: str) -> str:
    """Return ``query`` on one line, without comments and with ? for every value: what is in it is nobody's business.

    pg_stat_statements leaves values in what is no query, such as CREATE ROLE … PASSWORD.
    """
    words = []
    for met in TOKEN.finditer(query):
        kind = met.lastgroup
        words.append(" " if kind == "blank" else "?" if kind in ("value", "tag") else met[0])
    text = VALUES.sub("?, …", re.sub(r"\s+", " ", "".join(words)).strip())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def name_of(text: str) -> str:
    """Return what a statement is called over the years: queryid changes with the server's version, its words do not."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:10]


def quoted(name: str) -> str:
    """Return ``name`` as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def time_column(columns: Iterable[str]) -> str:
    """Return the column of the time of execution: 1.8 (PostgreSQL 13) renamed it, and counts planning apart."""
    return "total_exec_time" if "total_exec_time" in {*columns} else "total_time"


def counters_sql(schema: str, columns: Sequence[str], *, info: bool) -> str:
    """Return the question for the counters of all statements of the database, without their texts.

    :param columns: those of the view
    :param info: whether there is pg_stat_statements_info, which 1.9 (PostgreSQL 14) brought
    """
    # What a function does is in its own time already.
    top = "AND s.toplevel" if "toplevel" in columns else ""
    script = COUNTERS.replace("RESET", RESET if info else "NULL").replace("TOTAL", time_column(columns))
    return script.replace("TOP", top).replace("OWN", OWN).replace("MOST", str(MOST)).replace("SCHEMA", quoted(schema))


def texts_sql(schema: str, identities: Iterable[str]) -> str:
    """Return the question for the texts of a few statements."""
    listed = ", ".join(str(int(one)) for one in identities)
    return TEXTS.replace("OWN", OWN).replace("LISTED", listed).replace("SCHEMA", quoted(schema))


def counts_of(rows: Iterable[Sequence[Any]]) -> dict[str, list[float]]:
    """Return the counters by identity; those of other roles, whose identity we may not know, are left out."""
    return {str(row[0]): [row[1], float(row[2]), row[3]] for row in rows if row[0]}


def spent(now: Counts, before: Counts | None) -> list[Statement]:
    """Return what each statement cost since ``before``, the most time first; those that were not called are left out.

    A counter that is below what it was began anew: then all of it counts.
    """
    costs = {}
    for identity, counts in now.items():
        old = (before or {}).get(identity) or (0, 0, 0)
        begun = old if counts[0] >= old[0] and counts[1] >= old[1] else (0, 0, 0)
        costs[identity] = [new - then for new, then in zip(counts, begun)]
    total = sum(cost[1] for cost in costs.values())
    found = [
        Statement(identity, int(calls), round(ms, 3), int(rows), round(100 * ms / total, 1) if total else 0.0)
        for identity, (calls, ms, rows) in costs.items()
        if calls > 0
    ]
    return sorted(found, key=lambda one: (-one.total_ms, one.identity))


def picked(statements: Sequence[Statement], number: int, least_calls: int) -> list[Statement]:
    """Return those that are told of: the ``number`` with most time, and the slowest that were called often enough."""
    often = [one for one in statements if one.calls >= least_calls]
    slow = sorted(often, key=lambda one: (-one.mean_ms, one.identity))[: 2 * number]
    return [*statements[:number], *(one for one in slow if one not in statements[:number])]
