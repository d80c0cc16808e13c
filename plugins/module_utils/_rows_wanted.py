# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rows are to be imported: of an export, or of a whole backup that is restored beside for it. Private to this collection."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._drill_postgresql import check_room
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._pg_content import compare, read_content
from ansible_collections.runbook.ops.plugins.module_utils._pg_export import look, read_catalog
from ansible_collections.runbook.ops.plugins.module_utils._pg_fill import Load, fill
from ansible_collections.runbook.ops.plugins.module_utils._pg_scratch import Scratch, drop_abandoned
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget
from ansible_collections.runbook.ops.plugins.module_utils._rows_backup import is_proven
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import RowsError, bare
from ansible_collections.runbook.ops.plugins.module_utils._rows_copy import (
    KIND,
    Origin,
    Part,
    parts_of_backup,
    parts_of_database,
)
from ansible_collections.runbook.ops.plugins.module_utils._rows_select import Pick, plan


class Wanted(NamedTuple):
    """What is to be imported."""

    picks: Sequence[Pick]  # which rows are meant, here as there
    parts: Sequence[Part]
    title: str
    notes: Sequence[str] = ()


@contextmanager
def rows_of(target: PgTarget, backup: Backup, params: Mapping[str, Any]) -> Iterator[Wanted]:
    """Give the rows that are asked for: of an export, or of a backup that is restored into a scratch database for it."""
    manifest = backup.manifest
    if manifest["kind"] == KIND:
        parts = parts_of_backup(backup, identity=params["identity"], timeout_seconds=params["timeout_seconds"])
        if params["rows"]:
            raise RowsError(
                f"{backup.name} is an export of certain rows already: leave rows out, or take a whole backup"
            )
        picks = [Pick.from_json(one["pick"]) for one in manifest["content"]["parts"]]
        yield Wanted(picks, _only(parts, params["tables"]), backup.name, manifest["content"].get("notes") or [])
        return
    if not params["tables"] and not params["rows"]:
        raise RowsError(f"{backup.name} is the backup of a whole database: say what of it in tables or rows")
    if not is_proven(backup) and not params["accept_unproven"].strip():
        raise RowsError(
            f"{backup.name} has not passed a test restore: prove it with backup_verify and drill, take another, or set "
            "accept_unproven to the reason why rows of it are restored all the same"
        )
    drop_abandoned(target)
    check_room(target, manifest["content"])
    with Scratch(target, manifest["content"], title=backup.name, now=datetime.now(timezone.utc)) as scratch:
        yield _from_scratch(target, backup, params, scratch.name)


def _from_scratch(target: PgTarget, backup: Backup, params: Mapping[str, Any], scratch: str) -> Wanted:
    """Restore a whole backup beside, compare it with its manifest, and return the rows of it that are asked for.

    :raises RowsError: it is not what its manifest says.
    """
    content = backup.manifest["content"]
    workplace = backup.path.parent / f".{backup.set}.rows-{os.getpid()}"
    how = Load(params["jobs"], params["identity"], workplace, params["timeout_seconds"])
    fill(target, scratch, backup.path / content["dump"], how)
    reached("pg_import:restored")
    differences = compare(content, read_content(target, scratch))
    if differences:
        raise RowsError(f"{backup.name} is not what its manifest says: {'; '.join(differences[:3])}: take another")
    catalog = read_catalog(target, scratch)
    picks = plan(catalog, **{key: params[key] for key in ("tables", "rows", "follow", "exclude")})
    origin = Origin(target, scratch, catalog, picks, None, params["timeout_seconds"])
    notes = look(origin, accept_shared=params["accept_shared"], exclude=params["exclude"])
    reason = "" if is_proven(backup) else f", not proven, accepted because: {params['accept_unproven']}"
    return Wanted(picks, parts_of_database(origin), f"{backup.name}{reason}", notes)


def _only(parts: Sequence[Part], tables: Sequence[str]) -> list[Part]:
    """Return the parts of an export that are asked for.

    :raises RowsError: a table is not in it.
    """
    asked = {bare(name) for name in tables}
    missing = sorted(asked - {bare(part.table) for part in parts})
    if missing:
        known = ", ".join(part.table for part in parts)
        raise RowsError(f"the export has no table {', '.join(missing)}: it has {known}")
    return [part for part in parts if not asked or bare(part.table) in asked]
