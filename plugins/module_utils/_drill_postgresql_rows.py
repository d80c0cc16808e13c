# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try an export of rows: decrypt, unpack and count all of it. Private to this collection.

Whether the rows fit a database is tried where they are imported, before a table is touched.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import RowsError
from ansible_collections.runbook.ops.plugins.module_utils._rows_copy import count_lines


def drill(backup: Backup, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what came of reading each row of ``backup`` again.

    :param options: ``identity``: the private key where it is encrypted; ``timeout_seconds``
    :raises CodecError: it is encrypted and there is no key.
    :raises PipelineError: it cannot be decrypted or unpacked.
    """
    began, differences = time.monotonic(), []
    for one in backup.manifest["content"]["parts"]:
        try:
            found = count_lines(
                backup.path / one["file"],
                identity=options.get("identity"),
                timeout_seconds=options.get("timeout_seconds") or 3600,
            )
        except RowsError as exc:
            differences.append(str(exc))
            continue
        if found != one["rows"]:
            differences.append(f"table {one['table']} has {found} rows instead of {one['rows']}")
    return {
        "kind": "postgresql-rows",
        "target": "nowhere: each row was read and counted",
        "seconds": round(time.monotonic() - began, 2),
        "server_version": None,
        "differences": differences,
        "amcheck": None,
        "canaries": {},
        "passed": not differences,
    }
