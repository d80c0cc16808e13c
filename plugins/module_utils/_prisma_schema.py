# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a database's schema is what a release expects, by Prisma's own comparison. Private to this collection.

Prisma writes the SQL that would make the one into the other: what it adds, the database lacks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._sql_text import SqlError, split

VERSION = re.compile(r"^prisma\s*:\s*(\d+)\.", re.MULTILINE)
LACKS = re.compile(r"CREATE (?:TABLE|TYPE) |ALTER TYPE .* ADD VALUE |ALTER TABLE .* ADD COLUMN ")
MOST = 3  # statements that a message names


class Comparison(NamedTuple):
    """What is different; a query of the release fails on what is lacking."""

    lacks: list[str]
    differs: list[str]


def arguments(version: str, file: str) -> list[str]:
    """Return how Prisma is asked to compare its database with the schema in ``file``.

    :param version: what ``prisma version`` printed
    :raises ValueError: it is not understood.
    """
    met = VERSION.search(version)
    if not met:
        raise ValueError("prisma version does not tell its version")
    if int(met[1]) >= 7:  # since then the address of the database stands in prisma.config.ts
        return ["--from-config-datasource", "--to-schema", file]
    return ["--from-schema-datasource", file, "--to-schema-datamodel", file]


def read(script: str) -> Comparison:
    """Return what the script of ``prisma migrate diff`` says.

    :raises ValueError: it is not understood.
    """
    try:
        found = split(script)
    except SqlError as exc:
        raise ValueError(f"the script of prisma migrate diff is not understood: {exc}") from exc
    said = [(bool(LACKS.match(f"{one.plain} ")), " ".join(one.text.split())) for one in found]
    return Comparison([text for lacks, text in said if lacks], [text for lacks, text in said if not lacks])


def named(statements: Sequence[str]) -> str:
    more = len(statements) - MOST
    return "; ".join(statements[:MOST]) + (f"; and {more} more" if more > 0 else "")


def check(database: str, found: Comparison | str) -> dict[str, Any]:
    """Return the check of a comparison, or of what was said instead of one."""
    if isinstance(found, str):
        status, detail = "unknown", f"it was not compared: {found}"
    elif found.lacks:
        status, detail = "critical", f"it lacks what the release expects: {named(found.lacks)}"
    elif found.differs:
        status, detail = "warning", f"it is other than the release expects: {named(found.differs)}"
    else:
        status, detail = "ok", "it is what the release expects"
    return make_check(
        f"schema:{database}",
        name=f"schema of {database}",
        section="Databases",
        status=status,
        detail=detail,
        remedy="Write a migration that makes them the same: prisma migrate diff shows what it has to do",
    )
