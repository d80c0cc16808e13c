# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kinds of migrations have in common: where they stand, how they are read. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from ansible_collections.runbook.ops.plugins.module_utils._migration_plan import MigrationError, Status
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget

UNDO = ".down.sql"  # what some tools keep beside a migration to take it back

Program = Callable[..., str]


class Terms(NamedTuple):
    """Where and how."""

    target: PgTarget
    database: str
    directory: Path | None
    lock_timeout_seconds: float
    timeout_seconds: float


class Way(Protocol):
    """One kind of migrations."""

    def look(self) -> Status: ...  # reads only
    def texts(self, names: Sequence[str]) -> dict[str, str]: ...  # the scripts that can be looked into
    def apply(self, names: Sequence[str]) -> None: ...


def read_scripts(directory: Path | None) -> Mapping[str, str]:
    """Return the files of SQL in ``directory`` by their names.

    :raises MigrationError: it cannot be read.
    """
    if directory is None:
        raise MigrationError("directory is missing: say where the release has its files of SQL")
    if not directory.is_dir():
        raise MigrationError(f"the release has no directory {directory}: correct source.migrations")
    return {path.name: read_text(path) for path in sorted(directory.glob("*.sql")) if not path.name.endswith(UNDO)}


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise MigrationError(f"{path} cannot be read: {reason}") from exc
