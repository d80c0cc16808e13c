# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups are in a bucket, and which should be. Private to this collection.

::

    <prefix>/<set>_<YYYYMMDD>T<HHMMSS>Z/   a copy of the directory of that name
        <payload> manifest.json SHA256SUMS
        COMPLETE.json                      written last, once all of it has been compared: without it there is no copy

"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import (
    MANIFEST,
    NAME,
    STAMP,
    SUMS,
    Backup,
    is_inside,
)
from ansible_collections.runbook.ops.plugins.module_utils._retention import Plan, prune
from ansible_collections.runbook.ops.plugins.module_utils._s3 import Object

MARKER, FORMAT = "COMPLETE.json", 1


class OffsiteError(Exception):
    """Copies that cannot or should not be made, fetched or deleted; the message is one line that says what to do."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class Copy(NamedTuple):
    """One backup in the bucket, or what there is of it."""

    name: str
    taken_at: datetime  # in UTC
    sizes: dict[str, int]  # of what is there, by its path in the backup, the marker among them
    modified_at: float  # of its newest object, seconds since 1970
    marker: dict[str, Any] | None = None
    fault: str | None = "its COMPLETE.json is missing"  # why it does not count, None where it does

    @property
    def size(self) -> int:
        return sum(self.sizes.values())


def place(prefix: str, name: str = "", path: str = "") -> str:
    """Return the key of a path of a backup; of the backup's directory, or the prefix, where there is less to say."""
    top = prefix.strip("/")
    return "".join(f"{part}/" for part in (top, name) if part) + path


def sort_out(objects: Iterable[Object], *, prefix: str, wanted: str) -> dict[str, Copy]:
    """Return what there is of the set ``wanted``, by name, oldest first. Nothing else under the prefix is looked at."""
    found: dict[str, Copy] = {}
    begin = place(prefix)
    for one in objects:
        name, _slash, path = one.key[len(begin) :].partition("/")
        match = NAME.match(name)
        if not one.key.startswith(begin) or not path or match is None or match["set"] != wanted:
            continue
        if name not in found:
            at = taken_at(match["stamp"])
            if at is None:
                continue
            found[name] = Copy(name, at, {}, 0)
        found[name].sizes[path] = one.size
        found[name] = found[name]._replace(modified_at=max(found[name].modified_at, one.modified_at))
    return dict(sorted(found.items()))


def taken_at(stamp: str) -> datetime | None:
    """Return the moment in a name, None for one that does not exist."""
    try:
        return datetime.strptime(stamp, STAMP).replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def make_marker(backup: Backup, *, now: datetime, compared: str, proof: Mapping[str, Any] | None) -> str:
    """Return the text of the marker of a copy."""
    files = {entry["path"]: entry["size"] for entry in backup.manifest["files"]}
    files.update({path: (backup.path / path).stat().st_size for path in (MANIFEST, SUMS)})
    sums = {**backup.sums, SUMS: backup.identity}
    marker = {
        "format": FORMAT,
        "name": backup.name,
        "set": backup.set,
        "identity": backup.identity,
        "kind": backup.manifest.get("kind"),
        "host": backup.manifest.get("host"),
        "size": sum(files.values()),
        "copied_at": now.astimezone(timezone.utc).isoformat(timespec="seconds"),
        "compared": compared,
        "drill": drill_of(proof),
        "files": [{"path": path, "size": files[path], "sha256": sums[path]} for path in sorted(files)],
    }
    return json.dumps(marker, indent=1, sort_keys=True) + "\n"


def drill_of(proof: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the passed drill of a proof, unless one has failed since."""
    drill = None if (proof or {}).get("failed_drill") else (proof or {}).get("drill")
    return drill if isinstance(drill, dict) and drill.get("passed") is True else None


def judge_copy(copy: Copy, text: str) -> Copy:
    """Return ``copy`` with its marker, or with what is wrong about it."""
    try:
        marker = json.loads(text)
        files = {entry["path"]: entry["size"] for entry in marker["files"]}
        sums = {entry["path"]: entry["sha256"] for entry in marker["files"]}
        is_sound = marker["name"] == copy.name and sums[SUMS] == marker["identity"] and MANIFEST in files
        version = marker["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return copy._replace(fault="its COMPLETE.json cannot be read")
    if version != FORMAT:
        return copy._replace(
            fault=f"its COMPLETE.json has format {version}: a newer version of this collection reads it"
        )
    if not is_sound or not all(path == SUMS or is_inside(path) for path in files):
        return copy._replace(fault="its COMPLETE.json is not that of this backup")
    for path, size in files.items():
        if copy.sizes.get(path) != size:
            said = f"has {copy.sizes[path]} bytes instead of {size}" if path in copy.sizes else "is missing"
            return copy._replace(fault=f"its {path} {said}")
    return copy._replace(marker=marker, fault=None)


def wanted_copies(
    local: Iterable[Backup], copies: Mapping[str, Copy], *, keep: Mapping[str, Any] | None, minimum: int, now: datetime
) -> list[Backup]:
    """Return the backups that are to be copied, the newest first: what ``keep`` would let go at once is left out.

    :raises OffsiteError: another backup has taken the name there.
    """
    there = {name: copy for name, copy in copies.items() if copy.fault is None}
    missing = {backup.name: backup for backup in local if backup.name not in there}
    for backup in local:
        marker = there[backup.name].marker if backup.name in there else None
        if marker and marker["identity"] != backup.identity:
            raise OffsiteError(
                f"another backup is there as {backup.name}, of the host {marker.get('host')}: give each host and set a "
                "prefix of its own"
            )
    if keep:
        dates = {**{name: copy.taken_at for name, copy in there.items()}, **{n: b.taken_at for n, b in missing.items()}}
        for entry in _plan(dates, keep=keep, minimum=minimum, now=now).delete:
            missing.pop(_name(entry), None)
    return sorted(missing.values(), key=lambda backup: backup.name, reverse=True)


def copies_to_prune(
    copies: Mapping[str, Copy], *, keep: Mapping[str, Any], minimum: int, now: datetime, incomplete_after: float
) -> tuple[list[Copy], Plan]:
    """Return the copies that go, oldest first, and the plan that lets them.

    What is left of an unfinished or half deleted one goes where nothing was written to it for ``incomplete_after`` seconds and
    a newer copy is complete.
    """
    dates = {name: copy.taken_at for name, copy in copies.items() if copy.fault is None}
    plan = _plan(dates, keep=keep, minimum=minimum, now=now)
    newest = max(dates.values(), default=None)
    gone = {_name(entry) for entry in plan.delete}
    for name, copy in copies.items():
        is_idle = now.timestamp() - copy.modified_at >= incomplete_after
        if MARKER not in copy.sizes and is_idle and newest is not None and copy.taken_at < newest:
            gone.add(name)
    return [copies[name] for name in sorted(gone)], plan


def _plan(dates: Mapping[str, datetime], *, keep: Mapping[str, Any], minimum: int, now: datetime) -> Plan:
    entries = sorted(f"{at.year:04d}{at:%m%d%H%M%S}/{name}" for name, at in dates.items())
    naive = now.astimezone(timezone.utc).replace(tzinfo=None)
    return prune(entries, keep=keep, now=naive, minimum=max(1, minimum), is_good=lambda _name: True)


def _name(entry: str) -> str:
    return entry.partition("/")[2]
