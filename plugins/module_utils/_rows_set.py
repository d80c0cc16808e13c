# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An export of rows as a set: made, and known again. Private to this collection."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft, wait_for_a_name
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import AHEAD_SECONDS, Backup
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup import iso
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup_result import now
from ansible_collections.runbook.ops.plugins.module_utils._rows_copy import KIND, Origin, write
from ansible_collections.runbook.ops.plugins.module_utils._rows_select import Pick


def make(
    origin: Origin,
    directory: Path,
    name: str,
    *,
    compression: str,
    encryption: Mapping[str, Any] | None,
    notes: Sequence[str] = (),
) -> Backup:
    """Return the export that was made of ``origin``. Hold the set's lock."""
    began, catalog = time.monotonic(), origin.catalog
    at = wait_for_a_name(directory, name)
    with Draft.begin(directory, name, at) as draft:
        reached("pg_export:begun")
        parts = write(origin, draft, compression=compression, encryption=encryption)
        reached("pg_export:written")
        content = {
            "format": "copy",
            "server_version": catalog.server_version,
            "server_version_num": catalog.server_version_num,
            "system_identifier": catalog.system_identifier,
            "tables": {one["table"]: one["rows"] for one in parts},
            "parts": parts,
            "notes": list(notes),
        }
        manifest = {
            "kind": KIND,
            "database": origin.database,
            "host": socket.gethostname(),
            "taken_at": iso(at),
            "finished_at": iso(now()),
            "seconds": round(time.monotonic() - began, 3),
            "tools": {"psql": origin.target.program_version("psql")},
            "compression": compression,
            "encryption": dict(encryption) if encryption else None,
            "content": content,
        }
        return draft.seal(manifest)


def serves(backup: Backup, origin: Origin, encryption: Mapping[str, Any] | None, young_seconds: float) -> bool:
    """Return whether ``backup`` is what an export of ``origin`` would be made, and young: several may share the name of a set."""
    manifest, content = backup.manifest, backup.manifest.get("content") or {}
    if not -AHEAD_SECONDS < (now() - backup.taken_at).total_seconds() < young_seconds:
        return False
    if (manifest.get("kind"), manifest.get("database")) != (KIND, origin.database):
        return False
    if manifest.get("encryption") != (dict(encryption) if encryption else None):
        return False
    picks = [Pick.from_json(one["pick"]) for one in content["parts"]]
    return picks == list(origin.picks) and content["system_identifier"] == origin.catalog.system_identifier
