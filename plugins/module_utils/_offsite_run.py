# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run over the off-site copies of one set: look, decide, act, look again. Private to this collection.

Nothing here knows Ansible: the same runs from a timer on the host.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import (
    Backup,
    SetError,
    clean_up,
    list_backups,
    locked,
    reclaimable,
)
from ansible_collections.runbook.ops.plugins.module_utils._offsite import (
    copy_backup,
    delete_copy,
    list_copies,
    old_uploads,
    renew_drills,
)
from ansible_collections.runbook.ops.plugins.module_utils._offsite_fetch import (
    fetch,
    find_copy,
    local_one,
    refuse_full,
)
from ansible_collections.runbook.ops.plugins.module_utils._offsite_plan import (
    Copy,
    OffsiteError,
    copies_to_prune,
    place,
    wanted_copies,
)
from ansible_collections.runbook.ops.plugins.module_utils._offsite_report import (
    copied_change,
    deleted_change,
    describe,
    fetched_change,
    foresee,
    incomplete,
    judge,
)
from ansible_collections.runbook.ops.plugins.module_utils._retention import describe_keep, read_keep
from ansible_collections.runbook.ops.plugins.module_utils._s3_objects import abort, keeps_versions, side_by_side
from ansible_collections.runbook.ops.plugins.module_utils._s3_pieces import MIB, FileError
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import Place, S3Error, Storage
from ansible_collections.runbook.ops.plugins.module_utils._s3_upload import Settings
from ansible_collections.runbook.ops.plugins.module_utils._units import parse_duration, parse_size

SMALLEST_PART = 5 * MIB
Clock = Callable[[], datetime]


class Run:
    """The bucket, the set, and what has been done so far."""

    def __init__(self, options: Mapping[str, Any], *, now: Clock, check_mode: bool) -> None:
        """Read the options; nothing is asked yet.

        :raises ValueError: an option cannot be meant.
        """
        self.options, self.now, self.check_mode = options, now, check_mode
        self.set, self.prefix, self.jobs = options["set"], options["prefix"], options["jobs"]
        self.keep = read_keep(options["keep"]) if options["keep"] else None
        self.directory = Path(options["directory"] or "/")
        self.storage = Storage(Place(**{key: options[key] for key in Place._fields}))
        self.settings = read_settings(options)
        self.where = f"{options['bucket']}/{place(self.prefix)}"
        self.actions: list[str] = []
        self.changes: list[dict[str, Any]] = []
        self.result: dict[str, Any] = {"bytes_sent": 0, "bytes_read_back": 0, "path": None, "versioned": None}

    def look(self) -> dict[str, Copy]:
        return list_copies(self.storage, prefix=self.prefix, wanted=self.set, jobs=self.jobs)

    def act(self, copies: Mapping[str, Copy]) -> tuple[list[dict[str, Any]], set[str]]:
        """Do what the state asks for; return what is there more, and the names of what is there no more.

        :raises OffsiteError: it failed; what was done until then is in its details.
        """
        state = self.options["state"]
        try:
            more = self.copied(copies) if state == "copied" else []
            less = self.pruned(copies) if state == "pruned" else set()
            if state == "fetched":
                self.fetched(copies)
        except (OffsiteError, S3Error, SetError) as exc:
            done = {"changed": bool(self.changes), "changes": self.changes} if not self.check_mode else {}
            raise OffsiteError(str(exc), **done) from exc
        return more, less

    def copied(self, copies: Mapping[str, Copy]) -> list[dict[str, Any]]:
        """Copy what is not there; return what is there then."""
        local = list_backups(self.directory, self.set)
        if not local and not self.check_mode:  # in a prediction the one before may only have been predicted
            raise OffsiteError(
                f"there is no whole backup of {self.set} in {self.directory}: make one, or correct directory and set"
            )
        newest = local[-self.options["newest"] :] if self.options["newest"] else local
        missing = wanted_copies(newest, copies, keep=self.keep, minimum=self.options["minimum"], now=self.now())
        self.actions += [f"copy {backup.name}" for backup in missing]
        renewals = list(renew_drills(self.storage, local, copies, prefix=self.prefix, settings=self.settings))
        self.actions += [f"note the drill of {name}" for name, _renew in renewals]
        if self.check_mode:
            self.changes += [copied_change(one, where=self.where, compared=None, seconds=None) for one in missing]
        elif self.actions:
            with locked(self.directory, f"{self.set}.offsite"):
                damaged = self._copy_all(missing)
                side_by_side(self.storage, self.jobs, [renew for _name, renew in renewals])
            self._tell(damaged)
        return [foresee(backup) for backup in missing]

    def _copy_all(self, missing: list[Backup]) -> dict[str, str]:
        """Copy what can be copied; return what is wrong with the others here, by name.

        :raises S3Error: the storage refuses, or cannot be reached: it would not take the next one either.
        """
        damaged = {}
        for backup in missing:
            try:
                self._copy(backup)
            except (FileError, OSError) as exc:
                self.storage.stop.clear()
                if backup.path.is_dir():  # else it has been rotated meanwhile
                    damaged[backup.name] = str(exc)
        return damaged

    def _tell(self, damaged: Mapping[str, str]) -> None:
        """Return where nothing is damaged.

        :raises OffsiteError: something is; the others have been copied.
        """
        if damaged:
            name, why = min(damaged.items())
            others = sorted(set(damaged) - {name})
            more = f"; nor could {', '.join(others)}" if others else ""
            raise OffsiteError(
                f"{name} could not be copied: {why}{more}. All others are in {self.where}. Run backup_verify, and delete what is damaged"
            )

    def _copy(self, backup: Backup) -> None:
        began = time.monotonic()
        sent = copy_backup(
            self.storage,
            backup,
            prefix=self.prefix,
            settings=self.settings,
            compare=self.options["compare"],
            now=self.now,
        )
        self.result["bytes_sent"] += sent.bytes_sent
        self.result["bytes_read_back"] += sent.bytes_read_back
        seconds = round(time.monotonic() - began, 2)
        self.changes.append(copied_change(backup, where=self.where, compared=sent.compared, seconds=seconds))

    def fetched(self, copies: Mapping[str, Copy]) -> None:
        """Bring one copy here, unless it is here."""
        copy = find_copy(copies, self.options["name"], where=self.where)
        self.result["path"] = str(self.directory / copy.name)
        if local_one(self.directory, copy) is not None:
            return
        refuse_full(self.directory, copy, reclaimable=reclaimable(self.directory, self.set))
        self.actions.append(f"fetch {copy.name}")
        began, seconds = time.monotonic(), None
        if not self.check_mode:
            with locked(self.directory, self.set):
                clean_up(self.directory, self.set)
                at = self.now().isoformat(timespec="seconds")
                fetch(self.storage, copy, self.directory, prefix=self.prefix, jobs=self.jobs, checked_at=at)
            seconds = round(time.monotonic() - began, 2)
        self.changes.append(fetched_change(copy, where=self.where, directory=str(self.directory), seconds=seconds))

    def pruned(self, copies: Mapping[str, Copy]) -> set[str]:
        """Delete what the rules let go; return the names."""
        idle = parse_duration(self.options["incomplete_after"])
        keep = self.keep or {}
        gone, _plan = copies_to_prune(
            copies, keep=keep, minimum=self.options["minimum"], now=self.now(), incomplete_after=idle
        )
        self._refuse_too_many(gone, copies)
        self.actions += [f"delete {copy.name}" for copy in gone]
        for copy in gone:
            if not self.check_mode:
                delete_copy(self.storage, copy, prefix=self.prefix, jobs=self.jobs)
            why = f"keep {describe_keep(keep)}" if copy.fault is None else f"never completed: {copy.fault}"
            self.changes.append(deleted_change(copy, reason=why))
        before = self.now().timestamp() - idle
        for upload in old_uploads(self.storage, prefix=self.prefix, wanted=self.set, before=before):
            self.actions.append(f"abort the unfinished upload of {upload.key}")
            if not self.check_mode:
                abort(self.storage, upload)
        self.result["versioned"] = keeps_versions(self.storage)
        return {copy.name for copy in gone}

    def _refuse_too_many(self, gone: list[Copy], copies: Mapping[str, Copy]) -> None:
        complete = [copy for copy in copies.values() if copy.fault is None]
        going = [copy for copy in gone if copy.fault is None]
        limit = self.options["max_delete_percent"]
        if len(going) > len(complete) * limit / 100:
            raise OffsiteError(
                f"{len(going)} of {len(complete)} copies in {self.where} would go, allowed are {limit} % in one run; nothing "
                "was deleted. Correct keep, or raise max_delete_percent for this run"
            )


def read_settings(options: Mapping[str, Any]) -> Settings:
    """Return how objects are stored and sent.

    :raises ValueError: an option cannot be meant.
    """
    part = parse_size(options["part_size"])
    if not SMALLEST_PART <= part <= 5 * 1024**3:
        raise ValueError(f"part_size {options['part_size']!r} must be between 5MiB and 5GiB: S3 takes no other parts")
    if not 1 <= options["jobs"] <= 64:
        raise ValueError(f"jobs must be between 1 and 64, not {options['jobs']}")
    return Settings(
        encryption=options["server_side_encryption"],
        kms_key=options["kms_key_id"],
        storage_class=options["storage_class"],
        checksums=options["checksums"],
        part_bytes=part,
        jobs=options["jobs"],
    )


def run(options: Mapping[str, Any], *, now: Clock, check_mode: bool) -> dict[str, Any]:
    """Bring the copies of a set to ``options['state']``, and return what is there then and what was done.

    :raises OffsiteError: it cannot or should not be done.
    :raises S3Error: the bucket does not do what it should.
    :raises SetError: the directory cannot be worked on.
    :raises ValueError: an option cannot be meant.
    """
    max_age = None if options["max_age"] is None else parse_duration(options["max_age"])
    one = Run(options, now=now, check_mode=check_mode)
    copies = before = one.look()
    more, less = one.act(copies)
    if one.actions and not check_mode and options["state"] != "fetched":
        copies = one.look()
        more, less = [], set()
    there = [describe(copy) for copy in copies.values() if copy.fault is None and copy.name not in less]
    listed = sorted([*there, *more], key=lambda copy: str(copy["name"]))
    # Where the first copy is only predicted, that there is none yet is nothing to tell of.
    begins = check_mode and options["state"] in ("copied", "pruned")
    first = begins and not any(copy.fault is None for copy in copies.values())
    return {
        **one.result,
        "changed": bool(one.actions),
        "actions": one.actions,
        "copies": listed,
        "incomplete": incomplete(copy for copy in copies.values() if copy.name not in less),
        "changes": one.changes,
        "checks": [] if first else judge(copies, wanted=one.set, where=one.where, now=now(), max_age=max_age),
        "diff": {
            "before": {"copies": [name for name, copy in before.items() if copy.fault is None]},
            "after": {"copies": [copy["name"] for copy in listed]},
        },
    }
