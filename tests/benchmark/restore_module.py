# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module pg_restore as Ansible would, in a process of its own, and makes the backups that it restores."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "benchmark")]
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check, write_proof  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._pg_content import read_content, schema_hash  # noqa: E402
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget  # noqa: E402
from module_process import finish, start_module  # noqa: E402
from pg_cluster import Cluster  # noqa: E402


def target(cluster: Cluster) -> PgTarget:
    return PgTarget({"login_unix_socket": str(cluster.directory), "login_port": cluster.port})


def make_backup(
    cluster: Cluster,
    database: str,
    directory: Path,
    *,
    at: datetime | None = None,
    jobs: bool = True,
    proven: bool = True,
) -> Backup:
    """Return a backup of a database that nobody writes to, as the collection makes it; ``proven`` only says that it was."""
    directory.mkdir(exist_ok=True)
    content = {**read_content(target(cluster), database), **schema_hash(target(cluster), database)}
    with Draft.begin(directory, database.lower(), at or datetime.now(timezone.utc)) as draft:
        work = cluster.directory / "dumping"
        name = "dump" if jobs else "dump.custom"
        argv = ["--format=directory", "--jobs=2"] if jobs else ["--format=custom"]
        cluster.run("pg_dump", *cluster.target(database), *argv, f"--file={work}")
        work.rename(draft.path / name)
        draft.adopt(name)
        moment = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        backup = draft.seal(
            {
                "kind": "postgresql",
                "database": database,
                "host": "here",
                "taken_at": moment,
                "encryption": None,
                "content": {**content, "dump": name, "format": "directory" if jobs else "custom"},
            }
        )
    drill = {"at": moment, "passed": True, "seconds": 1.5, "differences": []} if proven else None
    write_proof(backup, {"checked_at": moment, "files": check(backup).files, "drill": drill})
    return backup


def start(
    cluster: Cluster,
    database: str,
    state: str,
    *,
    check: bool = False,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> subprocess.Popen[str]:
    """Return the module's process, which has been told what to do."""
    arguments = {
        "database": database,
        "state": state,
        "login_unix_socket": str(cluster.directory),
        "login_port": cluster.port,
        "journal_directory": str(cluster.directory / "journal"),
        "_ansible_check_mode": check,
        "_ansible_remote_tmp": str(cluster.directory),
        **options,
    }
    return start_module("pg_restore", arguments, environment=environment, own_session=True)


def run(cluster: Cluster, database: str, state: str, **options: Any) -> dict[str, Any]:
    return finish(start(cluster, database, state, **options))
