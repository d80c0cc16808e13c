# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try a backup of Redis: a server of our own loads it, and what that one would save is held against the manifest. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._rdb import compare
from ansible_collections.runbook.ops.plugins.module_utils._redis_scratch import DUMP, ScratchRedis, unpack_dump
from ansible_collections.runbook.ops.plugins.module_utils._scratch import scratch_directory

DEFAULT_SECONDS = 3600.0


def drill(backup: Backup, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what came of loading ``backup`` into a server that nobody else reaches and that ends with this.

    :param options: ``identity``: the private key where it is encrypted; ``scratch``: directory to work in, without it that of
        the backups; ``timeout_seconds``
    :raises StoreError: no server is installed, or it does not load the dump, or there is no room.
    """
    began = time.monotonic()
    limit = options.get("timeout_seconds") or DEFAULT_SECONDS
    content = backup.manifest["content"]
    base = Path(options.get("scratch") or backup.path.parent)
    with scratch_directory(base, "redis", needed=content["size_bytes"]) as scratch:
        unpack_dump(backup, scratch / DUMP, identity=options.get("identity"), timeout_seconds=limit)
        with ScratchRedis(scratch, content, timeout_seconds=limit) as server:
            restored = time.monotonic() - began
            found = server.content()
    differences = compare(content, found)
    return {
        "kind": "redis",
        "target": "a server of its own",
        "seconds": round(time.monotonic() - began, 2),
        "restore_seconds": round(restored, 2),
        "server_version": found["server_version"],
        "differences": differences,
        "amcheck": None,
        "canaries": {},
        "passed": not differences,
    }
