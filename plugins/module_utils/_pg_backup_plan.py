# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a PostgreSQL database is dumped, how much room that takes, and what is new in it. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

FIRST_SHARE = 0.5  # of a database's size, as long as no backup tells; tables compress, and indexes are not saved
GROWTH = 1.25  # what may have been added since the last one
ZSTD_SINCE = 16  # pg_dump compresses with zstd by itself
MOST_LINES = 20


class BackupError(Exception):
    """A backup that cannot be made; the message is one line that says what to do."""


@dataclass(frozen=True)
class Recipe:
    """How a dump is made."""

    format: str  # directory | custom
    inner: str  # what pg_dump compresses with: zstd | gzip | none
    outer: str  # what a program after it compresses with
    jobs: int

    @property
    def compression(self) -> str:
        return self.inner if self.inner != "none" else self.outer

    def options(self) -> list[str]:
        """Return pg_dump's options: the quick level, because a higher one costs more time than it saves room."""
        level = {"zstd": "--compress=zstd:1", "gzip": "--compress=1", "none": "--compress=0"}[self.inner]
        jobs = [f"--jobs={self.jobs}"] if self.format == "directory" else []
        return [f"--format={self.format}", level, *jobs]


def choose_recipe(
    compression: str, *, encrypted: bool, inside: bool, pg_dump: int, jobs: int, has_zstd: bool
) -> Recipe:
    """Return how to dump.

    Several sessions at a time, for the dump as for its restore, need a directory that pg_dump can write to. What is encrypted,
    or comes out of a container, is one stream.

    :param compression: auto, zstd, gzip or none
    :param pg_dump: its major version
    :param has_zstd: whether the program is installed on the host
    """
    alone = pg_dump >= ZSTD_SINCE
    directory = not encrypted and not inside and (compression != "zstd" or alone)
    if directory:
        inner = compression if compression != "auto" else "zstd" if alone else "gzip"
        return Recipe("directory", inner, "none", jobs)
    if compression == "none":
        return Recipe("custom", "none", "none", 1)
    wanted = compression == "zstd" or (compression == "auto" and has_zstd)
    if wanted and (encrypted or not alone):
        return Recipe("custom", "none", "zstd", 1)  # by all cores, while pg_dump has one
    inner = compression if compression != "auto" else "zstd" if alone and not encrypted else "gzip"
    return Recipe("custom", inner, "none", 1)


def expected_bytes(database_bytes: int, last: Mapping[str, Any] | None) -> int:
    """Return how much a backup may take.

    :param last: the manifest of the last one
    """
    before = (last or {}).get("content", {}).get("size_bytes") or 0
    share = last["size"] / before * GROWTH if last and before else FIRST_SHARE
    return round(database_bytes * share)


def refuse_too_small(directory: str, *, needed: int, free: int, total: int, min_free_percent: float) -> None:
    """Refuse a backup that the disk has no room for.

    :raises BackupError: it has not.
    """
    kept = round(total * min_free_percent / 100)
    if free - needed < kept:
        raise BackupError(
            f"the backup may take {human_size(needed)}, and {directory} has {human_size(free)} free, of which "
            f"{human_size(kept)} ({min_free_percent:g} %) must stay free: make room there, or set directory to another disk"
        )


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the tables whose number of rows is not the same in two manifests' contents: as they were, and as they are."""
    old = (before or {}).get("tables", {})
    new = after.get("tables", {})
    changed = sorted(name for name in set(old) | set(new) if old.get(name) != new.get(name))
    told = changed[:MOST_LINES] if len(changed) <= MOST_LINES else changed[: MOST_LINES - 1]
    more = [f"and {len(changed) - len(told)} more tables"] if len(told) < len(changed) else []
    return list(_rows(old, told)), [*_rows(new, told), *more]


def _rows(tables: Mapping[str, int], names: list[str]) -> Iterator[str]:
    return (f"{name}: {tables[name]} rows" for name in names if name in tables)


def summary(content: Mapping[str, Any]) -> str:
    """Return what is in a backup, for people."""
    tables = content.get("tables", {})
    return f"{len(tables)} tables, {sum(tables.values())} rows"
