# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which migrations a release brings, and whether they may be applied. Private to this collection."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._migration_rules import CONSENT, UNSEEN
from ansible_collections.runbook.ops.plugins.module_utils._migration_sql import Finding, look_into
from ansible_collections.runbook.ops.plugins.module_utils._restore_choice import is_proven
from ansible_collections.runbook.ops.plugins.module_utils._sql_text import SqlError

ALL, NONE = "all", "none"  # as a baseline: of the migrations of the release


class MigrationError(Exception):
    """Migrations that cannot be applied; the message is one line that says what to do."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = {"outcome": "refused", "changed": False, "changes": [], **details}


class Status(NamedTuple):
    """Where a database stands, against a release."""

    pending: list[str]  # in the order in which they are applied
    applied: list[str]
    unknown: list[str] = []  # noqa: RUF012  # applied, and not among those of the release  # nobody appends to it
    taken: list[str] = []  # noqa: RUF012  # of those applied, what a baseline says and no note does yet  # nor to this


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def compare(scripts: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> Status:
    """Return where a database with the ledger ``rows`` stands against ``scripts``, the texts by their names.

    :raises MigrationError: one was cut off, or has been changed since it was applied.
    """
    known = {row["name"]: row for row in rows}
    for name, row in known.items():
        if row["state"] != "applied":
            raise MigrationError(
                f"{name} was begun at {row['started_at']} and has not ended: no transaction takes its statement back; look at what it left "
                "(an invalid index is removed by DROP INDEX CONCURRENTLY), then say retry with its name"
            )
        if name in scripts and digest(scripts[name]) != row["sha256"]:
            raise MigrationError(
                f"{name} has been changed since it was applied: put the old text back, and write a new migration"
            )
    names = sorted(scripts)
    return Status(
        [name for name in names if name not in known],
        [name for name in names if name in known],
        sorted(set(known) - set(scripts)),
    )


def baseline(scripts: Mapping[str, str], wanted: str) -> list[str]:
    """Return the migrations that are taken for applied: ``all``, ``none``, or those up to the one named.

    :raises MigrationError: there is none of this name.
    """
    names = sorted(scripts)
    if wanted == ALL:
        return names
    if wanted == NONE:
        return []
    if wanted not in names:
        raise MigrationError(
            f"baseline is {wanted!r}: the release has no such migration; it has {', '.join(names) or 'none'}"
        )
    return names[: names.index(wanted) + 1]


def look_through(texts: Mapping[str, str]) -> dict[str, list[Finding]]:
    """Return what each of the scripts ``texts`` does.

    :raises MigrationError: one is not understood.
    """
    found = {}
    for name, text in texts.items():
        try:
            found[name] = look_into(text).findings
        except SqlError as exc:
            raise MigrationError(f"{name}: {exc}") from exc
    return found


def demand_consent(findings: Mapping[str, Sequence[Finding]], reason: str) -> None:
    """Refuse what destroys data, or breaks the release that runs, unless somebody gave a reason.

    :raises MigrationError: nobody did.
    """
    for name, found in findings.items():
        for one in found:
            if one.kind in CONSENT and not reason:
                raise MigrationError(
                    f"{name}:{one.line} {one.says} ({one.statement}): nothing was applied; do this in a later release, once no running one "
                    "needs it, or say accept_destructive with the reason"
                )


def demand_backup(backups: Sequence[Backup], *, age_seconds: float, now: datetime, reason: str) -> str:
    """Return the name of the proven backup that is the way back; empty where somebody gave a reason to do without.

    :raises MigrationError: there is none that is young enough.
    """
    if reason:
        return ""
    proven = [one for one in backups if is_proven(one)]
    if not proven:
        what = "none of them has been restored as a test" if backups else "there is none"
        raise MigrationError(
            f"there is no proven backup of the database, {what}: nothing was applied; run backup and verify_backups, or say accept_no_backup with the reason"
        )
    age = (now.astimezone(timezone.utc) - proven[-1].taken_at).total_seconds()
    if age > age_seconds:
        raise MigrationError(
            f"the newest proven backup, {proven[-1].name}, is {age / 3600:.1f} h old, and {age_seconds / 3600:g} h are allowed: nothing was "
            "applied; run backup and verify_backups, or say accept_no_backup with the reason"
        )
    return proven[-1].name


def worst(findings: Sequence[Finding]) -> str:
    """Return the status of a check about ``findings``."""
    return "warning" if any(one.kind != UNSEEN for one in findings) else "unknown" if findings else "ok"
