# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try a backup of files: restore all of it aside, and hold it against its manifest. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._file_extract import extract
from ansible_collections.runbook.ops.plugins.module_utils._file_stream import describe_trees
from ansible_collections.runbook.ops.plugins.module_utils._file_tree import compare
from ansible_collections.runbook.ops.plugins.module_utils._scratch import scratch_directory
from ansible_collections.runbook.ops.plugins.module_utils._store_payload import read_payload


def drill(backup: Backup, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what came of restoring ``backup`` into a directory of its own, which is deleted again.

    :param options: ``identity``: the private key where it is encrypted; ``scratch``: directory to work in, without it that of
        the backups; ``timeout_seconds``
    """
    began = time.monotonic()
    content = backup.manifest["content"]
    base = Path(options.get("scratch") or backup.path.parent)
    with scratch_directory(base, "files", needed=sum(one["bytes"] for one in content["roots"].values())) as scratch:
        wanted = {root: str(scratch / str(number)) for number, root in enumerate(content["roots"])}
        read_payload(
            backup,
            lambda pieces: extract(pieces, wanted),
            identity=options.get("identity"),
            timeout_seconds=options.get("timeout_seconds") or 3600,
        )
        differences = compare(content["roots"], describe_trees(wanted))
    return {
        "kind": "files",
        "target": "a directory of its own",
        "seconds": round(time.monotonic() - began, 2),
        "server_version": None,
        "differences": differences,
        "amcheck": None,
        "canaries": {},
        "passed": not differences,
    }
