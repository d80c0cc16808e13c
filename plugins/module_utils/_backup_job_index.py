# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code of the modules that a backup job runs, one import a function, and what their options are without a word. Private to this collection.

Who packs it for a host finds by reading what it needs.
"""

# ruff: noqa: PLC0415  # an import inside each function is what this file is for
from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

Options = Mapping[str, Any]
LIMITS: Options = {"timeout_seconds": 21600}  # as the role backup has it
BUCKET: Options = {  # an end of a mirror
    **{"bucket": None, "prefix": "", "endpoint": None, "region": "us-east-1", "access_key": None, "secret_key": None},
    **{"session_token": None, "directory": None},
}
Core = Callable[[Options], Mapping[str, Any]]


def _pg_backup(options: Options) -> Mapping[str, Any]:
    from ansible_collections.runbook.ops.plugins.module_utils import _pg_backup

    return _pg_backup.run(options)


def _mongodb_backup(options: Options) -> Mapping[str, Any]:
    from ansible_collections.runbook.ops.plugins.module_utils._mongo_backup import MongoStore
    from ansible_collections.runbook.ops.plugins.module_utils._store_backup import Wish, back_up

    return back_up(Wish.from_options({**LIMITS, **options}), MongoStore.from_options({**LIMITS, **options}))


def _redis_backup(options: Options) -> Mapping[str, Any]:
    from ansible_collections.runbook.ops.plugins.module_utils._redis_backup import RedisStore
    from ansible_collections.runbook.ops.plugins.module_utils._redis_server import SERVER_ARGUMENTS
    from ansible_collections.runbook.ops.plugins.module_utils._store_backup import Wish, back_up

    given = {**{name: spec.get("default") for name, spec in SERVER_ARGUMENTS.items()}, **options}
    return back_up(Wish.from_options({**LIMITS, **given}), RedisStore.from_options(given))


def _file_backup(options: Options) -> Mapping[str, Any]:
    from ansible_collections.runbook.ops.plugins.module_utils._file_backup import FileStore
    from ansible_collections.runbook.ops.plugins.module_utils._store_backup import Wish, back_up

    return back_up(Wish.from_options({**LIMITS, **options}), FileStore.from_options(options))


def _backup_verify(options: Options) -> Mapping[str, Any]:
    from ansible_collections.runbook.ops.plugins.module_utils import _backup_verify

    return _backup_verify.run(options)


def _backup_offsite(options: Options) -> Mapping[str, Any]:
    from ansible_collections.runbook.ops.plugins.module_utils import _offsite_run

    return _offsite_run.run(options, now=lambda: datetime.now(timezone.utc), check_mode=False)


def _bucket_sync(options: Options) -> Mapping[str, Any]:
    from ansible_collections.runbook.ops.plugins.module_utils import _bucket_sync

    ends = {side: {**BUCKET, **options[side]} for side in ("source", "target")}
    return _bucket_sync.run({**options, **ends}, now=lambda: datetime.now(timezone.utc), check_mode=False)


def _backup_rotate(options: Options) -> Mapping[str, Any]:
    from ansible_collections.runbook.ops.plugins.module_utils import _backup_rotate

    # The names of a script's files hold local time without a zone, so that is what they are compared with.
    return _backup_rotate.rotate(options, now=datetime.now(), check_mode=False)


CORES: dict[str, Core] = {
    "pg_backup": _pg_backup,
    "mongodb_backup": _mongodb_backup,
    "redis_backup": _redis_backup,
    "file_backup": _file_backup,
    "backup_verify": _backup_verify,
    "backup_offsite": _backup_offsite,
    "bucket_sync": _bucket_sync,
    "backup_rotate": _backup_rotate,
}
# Where the code itself asks for all options: what the modules' argument specifications say. A test compares them.
DEFAULTS: dict[str, dict[str, Any]] = {
    "backup_offsite": {
        **{"state": "copied", "directory": None, "name": "latest", "newest": None, "keep": None, "minimum": 3},
        **{
            "max_delete_percent": 90,
            "incomplete_after": "7d",
            "max_age": None,
            "endpoint": None,
            "region": "us-east-1",
        },
        **{"prefix": "", "session_token": None, "verify": True, "ca_path": None, "compare": "auto"},
        **{"server_side_encryption": None, "kms_key_id": None, "storage_class": None, "checksums": True},
        **{"part_size": "64MiB", "jobs": 4, "timeout_seconds": 60, "retry_seconds": 300},
    },
    "bucket_sync": {
        **{"state": "synced", "name": None, "only": [], "as_of": None, "delete": "versioned", "max_delete_percent": 30},
        **{"max_replace_percent": 50, "copy": "auto", "max_age": None, "versioning": True, "object_lock": False},
        **{"manifest": True, "history": None, "work_directory": "/var/lib/runbook-ops/buckets"},
        **{"server_side_encryption": None, "kms_key_id": None, "storage_class": None, "checksums": True, "jobs": 8},
        **{"verify": True, "ca_path": None, "timeout_seconds": 60, "retry_seconds": 300},
    },
}


def complete(module: str, options: Options) -> dict[str, Any]:
    """Return ``options`` with the defaults of ``module``.

    :raises ValueError: no job runs such a module.
    """
    if module not in CORES:
        raise ValueError(f"no backup job runs the module {module!r}: known are {', '.join(sorted(CORES))}")
    return {**DEFAULTS.get(module, {}), **options}
