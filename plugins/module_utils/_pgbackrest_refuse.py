# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a cluster from being recovered to a moment beside the live one. Private to this collection."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import Backup, PgBackRestError, Stanza, iso
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_host import tablespaces
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_segments import gaps, needed_gap
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_steps import Steps
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size


def refuse(steps: Steps, server: Mapping[str, Any] | None, stanza: Stanza, target: datetime) -> None:
    """Look for all that would make a recovery to ``target`` fail half way.

    :param server: the live one; None where none runs
    :raises PgBackRestError: there is something.
    """
    backup = steps.backup(stanza, target)
    if server and server["system_identifier"] != stanza.system_identifier:
        raise PgBackRestError(
            f"the stanza {stanza.name} is of another cluster (system {stanza.system_identifier}) than the one that runs "
            f"({server['system_identifier']}): correct stanza, port or socket"
        )
    if server and os.path.realpath(server["data_directory"]) != os.path.realpath(steps.data):
        raise PgBackRestError(
            f"the server that answers works in {server['data_directory']}, not in {steps.data}: correct data_directory or port"
        )
    spaces = tablespaces(steps.data) if Path(steps.data).is_dir() else []
    if spaces:
        raise PgBackRestError(
            f"the cluster has tablespaces ({', '.join(spaces)}), which are not restored beside: use pgbackrest by hand"
        )
    if os.path.ismount(steps.data) or Path(steps.data).is_symlink():
        raise PgBackRestError(
            f"{steps.data} is a disk of its own, or a link, and cannot be renamed: use pgbackrest by hand"
        )
    segment_size = {"segment_bytes": server["segment_bytes"]} if server else {}
    missing = needed_gap(
        gaps(steps.program.segments(stanza), after=backup.wal_start, **segment_size),
        target,
        lineage=steps.lineage,
    )
    if missing:
        raise PgBackRestError(
            f"{missing} is missing in the archive: the cluster can be recovered to {iso(backup.stopped_at)}, the end of "
            f"the backup {backup.label}, and a little further, but not to {iso(target)}"
        )
    _refuse_small_disk(steps, backup)


def _refuse_small_disk(steps: Steps, backup: Backup) -> None:
    try:
        disk = shutil.disk_usage(os.path.dirname(steps.data))  # noqa: PTH120
    except OSError as exc:
        raise PgBackRestError(f"{steps.data}: {exc.strerror}: correct data_directory") from exc
    left = disk.free - backup.size_bytes * 1.1
    least = disk.total * steps.params["min_free_percent"] / 100
    if left < least:
        raise PgBackRestError(
            f"the cluster has {human_size(backup.size_bytes)}, and {os.path.dirname(steps.data)} has {human_size(disk.free)} free, "  # noqa: PTH120
            f"of which {human_size(least)} are to stay free: make room, or lower min_free_percent"
        )
