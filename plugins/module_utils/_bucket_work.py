# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two places, what differs between them, and the copying and deleting that makes them alike. Private to this collection."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Union

from ansible_collections.runbook.ops.plugins.module_utils._bucket_copy import (
    NOTE,
    DamagedError,
    Thing,
    carried,
    copy_within,
    fetch,
    parts_of,
    prove,
)
from ansible_collections.runbook.ops.plugins.module_utils._bucket_ends import (
    Bucket,
    Folder,
    SyncError,
    file_sha256,
    unfit,
)
from ansible_collections.runbook.ops.plugins.module_utils._bucket_list import Entry, parse_moment
from ansible_collections.runbook.ops.plugins.module_utils._bucket_plan import (
    GONE,
    NEW,
    REPLACED,
    SAME,
    UNSURE,
    Pair,
    Plan,
    pair,
)
from ansible_collections.runbook.ops.plugins.module_utils._bucket_pool import in_order
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._s3_objects import delete
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import ChangedError, GoneError, Place
from ansible_collections.runbook.ops.plugins.module_utils._s3_upload import Settings, upload_file
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

End = Union[Bucket, Folder]
FREE_PERCENT = 5  # of a disk stay free
NO_BODY = (("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="),)  # of nothing: a request to copy carries nothing
WHOLE_BYTES = 5 << 30  # so much can be sent at once


class Sync:
    """One run."""

    def __init__(self, options: Mapping[str, Any], *, now: datetime, check_mode: bool) -> None:
        """Read the options; nothing is asked yet.

        :raises SyncError: the options contradict each other.
        :raises S3Error: an endpoint is no URL.
        """
        self.options, self.now, self.check_mode = options, now, check_mode
        self.began_at = now.timestamp()
        self.only = tuple(options["only"])
        self.at = parse_moment(options["as_of"]) if options["as_of"] else None
        self.source, self.target = (self._end(side) for side in ("source", "target"))
        self.settings = Settings(
            encryption=options["server_side_encryption"],
            kms_key=options["kms_key_id"],
            storage_class=options["storage_class"],
            checksums=options["checksums"],
            jobs=options["jobs"],
        )
        self.is_mirror = not self.only and self.at is None and options["manifest"]
        self.is_within = self._is_within()
        self.locked = False  # whether the target wants a sum of what each request carries
        self.notes = False  # whether the tag of a copy is another than that of its source
        self.done = {"copied": 0, "bytes_copied": 0, "deleted": 0, "moved_on": 0}
        self._lock, self._numbers = threading.Lock(), count()

    def _end(self, side: str) -> End:
        given = self.options[side]
        if bool(given["bucket"]) == bool(given["directory"]):
            raise SyncError(f"{side} is a bucket or a directory: name one of both")
        if given["directory"]:
            return Folder(given["directory"], self.now.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%SZ"))
        for key in ("access_key", "secret_key"):
            if not given[key]:
                raise SyncError(f"{side}.{key} is missing: a bucket is not asked without keys")
        shared = {key: self.options[key] for key in ("verify", "ca_path", "timeout_seconds", "retry_seconds")}
        own = {key: given[key] for key in ("bucket", "access_key", "secret_key", "endpoint", "region", "session_token")}
        return Bucket(Place(**own, **shared), given["prefix"])

    def _is_within(self) -> bool:
        """Return whether the storage itself can copy; refuse what makes no sense."""
        source, target = self.source, self.target
        if not source.is_bucket and not target.is_bucket:
            raise SyncError("source and target are both directories: nothing here is for a bucket")
        ones, others = f"{source.identity}/", f"{target.identity}/"
        if ones == others and self.at is None:
            raise SyncError("source and target are the same: name another one, or with as_of the moment to go back to")
        if ones != others and (ones.startswith(others) or others.startswith(ones)):
            raise SyncError(
                f"{source.label} and {target.label} lie in each other: what is copied would be copied again and again"
            )
        if not (isinstance(source, Bucket) and isinstance(target, Bucket)) or self.options["copy"] == "stream":
            return False
        places = [end.storage.place for end in (source, target)]
        alike = all(getattr(places[0], key) == getattr(places[1], key) for key in ("endpoint", "access_key"))
        return alike or self.options["copy"] == "server"

    # -- what there is ------------------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """List both places, and decide."""
        plan = Plan()
        pairs = pair(self._wanted(plan), self.target.entries(self.only))
        for one in in_order(
            self.options["jobs"], pairs, self._settle, skip=lambda it: None if it.kind == UNSURE else it
        ):
            plan.add(one)
        return plan

    def _wanted(self, plan: Plan) -> Iterator[Entry]:
        for entry in self.source.entries(self.only, self.at):
            if not self.target.is_bucket:
                if entry.key.endswith("/") and not entry.size:
                    continue  # consoles make empty objects that stand for directories
                reason = unfit(entry.key)
                if reason:
                    plan.leave_out(entry, reason)
                    continue
            yield entry

    def _settle(self, one: Pair) -> Pair:
        """Decide where the listing leaves it open."""
        assume = self.target
        if not isinstance(assume, Bucket) or one.source is None or one.target is None:
            return one._replace(kind=REPLACED)
        root = self.source.root if isinstance(self.source, Folder) else None
        return one._replace(kind=SAME if assume.is_copy(one.source, one.target, root) else REPLACED)

    def deletes(self, versioned: bool | None) -> bool:
        """Return whether what is gone from the source is deleted in the target."""
        return self.options["delete"] == "always" or (self.options["delete"] == "versioned" and bool(versioned))

    # -- what is done -------------------------------------------------------------------------------------------------------

    def act(self, plan: Plan, work: Path, *, deletes: bool) -> None:
        """Copy, then delete.

        :raises SyncError: there is no room, or something is in the way.
        """
        self._refuse_full(plan, work)
        for _done in in_order(
            self.options["jobs"], plan.steps(NEW, REPLACED), partial(self._copy, work), give_up=self._give_up
        ):
            reached("bucket_sync:copied")
        if not deletes or not plan.counts[GONE]:
            return
        if self.options["delete"] == "versioned" and not self.target.keeps()["versioned"]:
            raise SyncError(
                f"{self.target.label} has stopped keeping versions, so nothing is deleted there: see who turned them off"
            )
        for one in in_order(self.options["jobs"], plan.steps(GONE), self._delete, give_up=self._give_up):
            self.done["deleted"] += one
            reached("bucket_sync:deleted")

    def _give_up(self) -> None:
        """Have no request tried again from now on."""
        for end in (self.source, self.target):
            if isinstance(end, Bucket):
                end.storage.stop.set()

    def _refuse_full(self, plan: Plan, work: Path) -> None:
        needed = (
            plan.largest * self.options["jobs"] if self.target.is_bucket else plan.bytes[NEW] + plan.bytes[REPLACED]
        )
        if self.is_within or not self.source.is_bucket:
            needed = 0
        disk = shutil.disk_usage(work)
        if needed and disk.free - needed < disk.total * FREE_PERCENT / 100:
            raise SyncError(
                f"{work} has {human_size(disk.free)} free, needed are {human_size(needed)} and {FREE_PERCENT} % of the disk: make "
                "room, or name another work_directory"
            )

    def _copy(self, work: Path, one: Pair) -> None:
        entry = one.source
        if entry is None:
            return
        try:
            self._copy_one(entry, work)
        except (GoneError, ChangedError):  # deleted or replaced since it was listed: the next run sees what it is then
            with self._lock:
                self.done["moved_on"] += 1
            return
        with self._lock:
            self.done["copied"] += 1
            self.done["bytes_copied"] += entry.size

    def _copy_one(self, entry: Entry, work: Path) -> None:
        source, target = self.source, self.target
        if isinstance(source, Folder) and isinstance(target, Bucket):
            path = source.root / entry.key
            upload_file(target.storage, path, target.prefix + entry.key, file_sha256(path, entry.size), self.settings)
            return
        thing = source.thing(entry)  # type: ignore[union-attr]  # two directories were refused
        if self.is_within and isinstance(target, Bucket):
            settings = self.settings._replace(headers=NO_BODY if self.locked else ())
            self.notes |= not copy_within(thing, target.storage, target.prefix + entry.key, settings, note=self.notes)
            return
        aside = work / f"{next(self._numbers)}"
        try:
            if isinstance(target, Bucket):
                self._stream(thing, target, aside)
            else:
                fetch(thing, aside)
                target.put(entry, aside)
        finally:
            aside.unlink(missing_ok=True)

    def _stream(self, thing: Thing, target: Bucket, aside: Path) -> None:
        fetched, parts, key = fetch(thing, aside), parts_of(thing), target.prefix + thing.entry.key
        settings = self.settings._replace(
            jobs=1, part_bytes=WHOLE_BYTES, headers=tuple(carried(fetched.headers).items())
        )
        if parts:
            settings = settings._replace(part_bytes=parts.size, jobs=self.options["jobs"])
        if not self.notes:
            upload_file(target.storage, aside, key, fetched.sha256, settings)
            if prove(target.storage, key, thing.entry, fetched.sha256):
                return
            self.notes = True  # the content is right, only its tag is another: that of the source is noted from now on
        settings = settings._replace(headers=(*settings.headers, (NOTE, thing.entry.tag)))
        upload_file(target.storage, aside, key, fetched.sha256, settings)
        try:
            prove(target.storage, key, thing.entry, fetched.sha256)
        except DamagedError:
            delete(target.storage, key)  # or its note would vouch for it
            raise

    def _delete(self, one: Pair) -> int:
        if one.target is not None:
            self.target.delete(one.target)
        return 1
