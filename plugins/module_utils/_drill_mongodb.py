# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try a backup of MongoDB: a database of its own gets it, and what is dumped of that is held against the manifest. Private to this collection."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._mongo_archive import compare, read_archive
from ansible_collections.runbook.ops.plugins.module_utils._mongo_server import (
    Place,
    hello,
    place_of,
    refuse_secondary,
    statistics,
    version_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._mongo_tools import dump, load
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

DEFAULT_SECONDS = 3600.0
SCRATCH = "runbook_ops_drill_"
COPIES = 1.5  # of the data: compressed on disk as a rule, its log and its indexes beside it
LOCKS = Path("/run/lock")


def drill(backup: Backup, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what came of restoring ``backup`` into a database beside the others of its server, which is dropped at the end.

    :param options: those of ``login_…``, ``auth_database``, ``project``, ``service`` and ``container``; ``identity``: the private key
        where it is encrypted; ``timeout_seconds``
    :raises StoreError: the server does not let us, or there is no room.
    """
    began = time.monotonic()
    limit = options.get("timeout_seconds") or DEFAULT_SECONDS
    content, name = backup.manifest["content"], backup.manifest["database"]
    place = target_of(options)
    with scratch_database(place, scratch_name(place, options), needed=content["data_bytes"]) as (scratch, version):
        names = (f"{name}.$c$", f"{scratch}.$c$")
        load(backup, place, names, identity=options.get("identity"), timeout_seconds=limit)
        reached("drill_mongodb:restored")
        restored = time.monotonic() - began
        found = read_archive(dump(place, scratch, timeout_seconds=limit))
    differences = compare(content, found)
    return {
        "kind": "mongodb",
        "target": f"a database of its own on {place.title}",
        "seconds": round(time.monotonic() - began, 2),
        "restore_seconds": round(restored, 2),
        "server_version": version,
        "differences": differences,
        "amcheck": None,
        "canaries": {},
        "passed": not differences,
    }


def target_of(options: Mapping[str, Any]) -> Place:
    """Return the server that options as those of backup_verify name."""
    login = {key: options.get(f"login_{key}") for key in ("host", "port", "user", "password")}
    return place_of({**options, **login})


def scratch_name(place: Place, options: Mapping[str, Any]) -> str:
    """Return the name of the database of this host's test restores on that server, always the same: rights are granted to it.

    A container is known by what it is called. Its address is another one as soon as it is made anew.
    """
    where = options.get("container") or (options.get("service") and f"{options.get('project')}/{options['service']}")
    told = f"{os.uname().nodename} {where or place.host} {place.port}"
    return f"{SCRATCH}{hashlib.sha256(told.encode()).hexdigest()[:12]}"


@contextmanager
def scratch_database(place: Place, name: str, *, needed: int) -> Iterator[tuple[str, str]]:
    """Give the database ``name``, empty, and the server's version; at the end it is dropped. What a killed run left goes first.

    :raises StoreError: there is no room, or another test restore of this host is at work there.
    """
    handle = os.open(LOCKS / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"another test restore of this host uses {name}: wait until it has ended") from None
        with place.connected() as server:
            refuse_secondary(hello(server), place, "try the backup")
            server.command(name, "dropDatabase")
            disk = statistics(server, name)
            version = version_of(server)
        free = int(disk.get("fsTotalSize") or 0) - int(disk.get("fsUsedSize") or 0)
        if disk.get("fsTotalSize") and free < needed * COPIES:
            raise StoreError(
                f"no room to try the backup: the server's disk has {human_size(max(free, 0))} left, it may need "
                f"{human_size(round(needed * COPIES))}; make room, or try it on another server"
            )
        try:
            yield name, version
        finally:
            with place.connected() as server:
                server.command(name, "dropDatabase")
    finally:
        os.close(handle)
