# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of the module database_migration: look, demand what makes it safe, apply, look again. Private to this collection."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _prisma_schema
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import list_backups
from ansible_collections.runbook.ops.plugins.module_utils._change_fence import fence_of
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import PROVEN_SECONDS, held, keeping
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._migration import Program, Terms, Way
from ansible_collections.runbook.ops.plugins.module_utils._migration_drizzle import Drizzle
from ansible_collections.runbook.ops.plugins.module_utils._migration_files import SqlFiles
from ansible_collections.runbook.ops.plugins.module_utils._migration_image import ReleaseImage, opened
from ansible_collections.runbook.ops.plugins.module_utils._migration_plan import (
    MigrationError,
    Status,
    demand_backup,
    demand_consent,
    look_through,
    worst,
)
from ansible_collections.runbook.ops.plugins.module_utils._migration_programs import (
    URL,
    Prisma,
    Programs,
    program,
    surroundings,
)
from ansible_collections.runbook.ops.plugins.module_utils._migration_sql import Finding
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget

SECTION = "Databases"
SCHEMA = {"prisma": "public", "drizzle": "drizzle"}  # where a tool keeps its table


def run(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return the module's result.

    :raises MigrationError: nothing may be applied, or one has failed.
    :raises PgError: the server does not tell.
    """
    with opened(params) as (release, here):
        return _run(way_of(here, release), here, check_mode=check_mode)


def _run(way: Way, params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    before = way.look()
    findings = look_through(way.texts(before.pending)) if before.pending else {}
    backup, seconds, after = "", None, before
    if before.pending:
        demand_consent(findings, params["accept_destructive"])
        backup = _backup(params)
    if (before.pending or before.taken) and not check_mode:
        began = time.monotonic()
        try:
            _apply(way, before, params)
        except MigrationError as exc:
            raise MigrationError(str(exc), **_left(way, params, before)) from exc
        seconds = round(time.monotonic() - began, 3)
        after = way.look()
        if after.pending:
            raise MigrationError(
                f"it has ended well, and {after.pending[0]} is still pending in {params['database']}: it works on another database; compare "
                f"{URL} of the application with database and login_host",
                outcome="not_rolled_back",
            )
    result = _result(params, before, after, findings, backup=backup, seconds=seconds)
    if isinstance(way, Prisma) and not after.pending:
        result["checks"].append(_compared(way, params, result))
    return result


def _compared(way: Prisma, params: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the check of what the database's schema is against what the release expects.

    :raises MigrationError: it lacks something, and nobody gave a reason to go on.
    """
    database, place = params["database"], str(params.get("place") or params["directory"])
    found = way.compare(posixpath.join(posixpath.dirname(place.rstrip("/")), "schema.prisma"))
    if not isinstance(found, str) and found.lacks and not params["accept_drift"]:
        raise MigrationError(
            f"the schema of {database} lacks what the release expects, by prisma migrate diff: {_prisma_schema.named(found.lacks)}; write a "
            "migration that adds it, or say accept_drift with the reason",
            outcome="not_rolled_back" if result["seconds"] is not None else "refused",
            changed=result["seconds"] is not None,
            changes=result["changes"] if result["seconds"] is not None else [],
        )
    return _prisma_schema.check(database, found)


def _left(way: Way, params: Mapping[str, Any], before: Status) -> dict[str, Any]:
    """Return what a run that failed leaves: those that were applied before it stay, and so may half of one that is no transaction."""
    try:
        still = way.look().pending
    except (MigrationError, PgError):
        still = None
    done = [name for name in before.pending if still is not None and name not in still]
    whole = params["kind"] == "sql" and still is not None and not done
    changes = [_change(params, name) for name in done]
    return {
        "outcome": "refused" if whole else "not_rolled_back",
        "changed": bool(done) or not whole,
        "changes": changes,
    }


def _change(
    params: Mapping[str, Any],
    name: str,
    *,
    action: str = "applied",
    reason: str = "the release brings it",
    seconds: float | None = None,
) -> dict[str, Any]:
    return make_change(
        f"migration {name}",
        action=action,
        section=SECTION,
        reason=reason,
        after=params["database"],
        seconds=seconds,
    )


def _apply(way: Way, before: Status, params: Mapping[str, Any]) -> None:
    fence = fence_of(params)
    with held(fence):
        pass  # whoever took over meanwhile migrates by itself
    with keeping(fence, lease_seconds=PROVEN_SECONDS):
        way.apply(before.pending)


def _backup(params: Mapping[str, Any]) -> str:
    directory, name, reason = params["backup_directory"], params["backup_set"], params["accept_no_backup"]
    found = list_backups(Path(directory), name) if directory and name else []
    age = params["backup_age_seconds"]
    return demand_backup(found, age_seconds=age, now=datetime.now(timezone.utc), reason=reason)


def way_of(params: Mapping[str, Any], release: ReleaseImage | None = None) -> Way:
    """Return how the options want migrations to be applied.

    :param release: whose image holds the programs; without it they are on this host
    """
    directory = Path(params["directory"]) if params["directory"] else None
    terms = Terms(
        PgTarget.from_params(params, application="runbook.ops database_migration"),
        params["database"],
        directory,
        params["lock_timeout_seconds"],
        params["timeout_seconds"],
    )
    if params["kind"] == "sql":
        note = params["accept_destructive"] or ""
        return SqlFiles(terms, first=params["baseline"] or "", retry=params["retry"] or "", note=note)
    environment = surroundings(params, release.environment if release else None)

    def called(argv: Sequence[str]) -> Program:
        if release:
            return release.program(argv, environment, timeout_seconds=params["timeout_seconds"])
        return program(params, argv, environment)

    schema = params["schema"] or SCHEMA.get(params["kind"], "")
    if params["kind"] == "prisma":
        return Prisma(terms, called(params["command"]), schema=schema)
    if params["kind"] == "drizzle":
        return Drizzle(terms, called(params["apply"]), schema=schema)
    return Programs(terms, called(params["pending"]), called(params["apply"]))


def _result(
    params: Mapping[str, Any],
    before: Status,
    after: Status,
    findings: Mapping[str, Sequence[Finding]],
    *,
    backup: str,
    seconds: float | None,
) -> dict[str, Any]:
    database, names = params["database"], before.pending
    changes = [
        _change(params, name, action="noted", reason="the baseline says that it is applied") for name in before.taken
    ]
    changes += [_change(params, name, seconds=seconds if len(names) == 1 else None) for name in names]
    return {
        "changed": bool(changes),
        "pending": names,
        "applied": after.applied if seconds is not None else before.applied,
        "unknown": before.unknown,
        "backup": backup,
        "findings": [{"migration": name, **one._asdict()} for name, found in findings.items() for one in found],
        "seconds": seconds,
        "checks": _checks(params, before, findings),
        "changes": changes,
        "diff": {
            "before": "".join(f"{name}\n" for name in before.applied),
            "after": "".join(f"{name}\n" for name in [*before.applied, *names]),
            "before_header": f"migrations of {database}",
            "after_header": f"migrations of {database}",
        },
    }


def _checks(
    params: Mapping[str, Any], before: Status, findings: Mapping[str, Sequence[Finding]]
) -> list[dict[str, Any]]:
    checks = []
    for name in before.pending:
        found = list(findings.get(name, ()))
        known = name in findings
        checks.append(
            make_check(
                f"migration:{name}",
                name=f"migration {name}",
                section=SECTION,
                status=worst(found) if known else "unknown",
                detail="; ".join(f"line {one.line} {one.says}" for one in found)
                or ("both releases can live with it" if known else "its SQL was not found, so nobody looked into it"),
                remedy="Read it before it is applied; what the running release needs is taken away by a later one",
            )
        )
    if before.unknown:
        checks.append(
            make_check(
                f"migrations:{params['database']}:ahead",
                name=f"migrations of {params['database']}",
                section=SECTION,
                status="warning",
                value=len(before.unknown),
                unit="unknown",
                detail=f"applied, and unknown to this release: {', '.join(before.unknown)}",
                remedy="The release is older than the database: it has to live with them",
            )
        )
    return checks
