# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy whole backups into a bucket, prove the copies, and delete old ones. Private to this collection.

A copy is listed by its marker only, and the marker is written when every file has been compared; it is deleted first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import read_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import MANIFEST, SUMS, Backup
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._offsite_plan import (
    MARKER,
    Copy,
    drill_of,
    judge_copy,
    make_marker,
    place,
    sort_out,
)
from ansible_collections.runbook.ops.plugins.module_utils._s3 import Object
from ansible_collections.runbook.ops.plugins.module_utils._s3_objects import (
    Head,
    Unfinished,
    delete,
    list_objects,
    list_unfinished,
    look,
    read_object,
    read_text,
    side_by_side,
)
from ansible_collections.runbook.ops.plugins.module_utils._s3_pieces import FileError, measure_all
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import GoneError, S3Error, Storage
from ansible_collections.runbook.ops.plugins.module_utils._s3_upload import (
    Settings,
    upload_file,
    upload_text,
)

READ_BACK_BYTES = 1 << 30  # a larger backup is compared by the checksums of the storage, unless told otherwise
DESCRIPTIONS = (MANIFEST, SUMS)


class Sent(NamedTuple):
    """What copying one backup took."""

    bytes_sent: int
    bytes_read_back: int
    compared: str  # content or checksum


def list_copies(storage: Storage, *, prefix: str, wanted: str, jobs: int) -> dict[str, Copy]:
    """Return what there is of the set ``wanted`` in the bucket, by name, oldest first.

    :raises S3Error: the bucket cannot be read.
    """
    copies = sort_out(list_objects(storage, place(prefix, "", f"{wanted}_")), prefix=prefix, wanted=wanted)

    def judge(copy: Copy) -> Copy:
        try:
            return judge_copy(copy, read_text(storage, place(prefix, copy.name, MARKER)))
        except GoneError:
            return copy

    work = [partial(judge, copy) for copy in copies.values() if MARKER in copy.sizes]
    judged = {copy.name: copy for copy in side_by_side(storage, jobs, work)}
    return {**copies, **judged}


def copy_backup(
    storage: Storage, backup: Backup, *, prefix: str, settings: Settings, compare: str, now: Callable[[], datetime]
) -> Sent:
    """Bring a backup into the bucket, prove it, and mark it as complete. What is there already is not sent again.

    :param compare: content, checksum, or auto: the content of what is smaller than :data:`READ_BACK_BYTES`
    :raises FileError: what is here is damaged, or cannot be read.
    :raises S3Error: it was refused, did not succeed in time, or what is there is not what was sent.
    """
    size = int(backup.manifest["size"])
    how = compare if compare != "auto" else "content" if size < READ_BACK_BYTES else "checksum"
    copier = Copier(storage, backup, prefix, settings, how)
    sizes = {entry["path"]: int(entry["size"]) for entry in backup.manifest["files"]}
    small = [path for path in sizes if sizes[path] <= settings.part_bytes]
    large = [path for path in sizes if sizes[path] > settings.part_bytes]
    done = side_by_side(storage, settings.jobs, (partial(copier.copy_file, path) for path in small))
    done += [copier.copy_file(path) for path in large]  # these are sent in parts, side by side
    reached("backup_offsite:uploaded")
    done += [copier.copy_file(path) for path in DESCRIPTIONS]
    reached("backup_offsite:compared")
    text = make_marker(backup, now=now(), compared=how, proof=read_proof(backup))
    upload_text(storage, place(prefix, backup.name, MARKER), text, settings)
    reached("backup_offsite:marked")
    return Sent(sum(sent for sent, _read in done), sum(read for _sent, read in done), how)


class Copier:
    """Sends the files of one backup, and proves each."""

    def __init__(self, storage: Storage, backup: Backup, prefix: str, settings: Settings, compare: str) -> None:
        self.storage, self.backup, self.prefix, self.compare = storage, backup, prefix, compare
        self.settings = settings
        self.sums = {**backup.sums, SUMS: backup.identity}

    def copy_file(self, path: str) -> tuple[int, int]:
        """Return the bytes that were sent and read back so that the bucket has this file."""
        key, file = place(self.prefix, self.backup.name, path), self.backup.path / path
        # What lists and proves a copy is kept where it can be read at any time.
        is_description = path in DESCRIPTIONS
        settings = self.settings._replace(storage_class=None) if is_description else self.settings
        try:
            size = file.stat().st_size
        except OSError as exc:
            raise FileError(f"cannot read {file} ({exc.strerror}): is it being removed?") from exc
        head = look(self.storage, key, checksum=self.settings.checksums)
        if head is not None and head.size == size and head.sha256 == self.sums[path]:
            fault, read = self._compare(key, path, size, head, None)
            if fault is None:
                return 0, read
        sent = upload_file(self.storage, file, key, self.sums[path], settings)
        head = look(self.storage, key, checksum=self.settings.checksums)
        fault, read = self._compare(key, path, size, head, sent.checksum)
        if fault is not None:
            raise S3Error(
                f"{key} is not what was sent: {fault}. Run again: it is sent anew; this backup is not listed there"
            )
        return sent.bytes_sent, read

    def _compare(
        self, key: str, path: str, size: int, head: Head | None, computed: str | None
    ) -> tuple[str | None, int]:
        """Return what is wrong with an object, and the bytes that were read to know; ``computed`` is its checksum here."""
        if head is None:
            return "it is not there", 0
        if head.size != size:
            return f"it has {head.size} bytes instead of {size}", 0
        wished = self.settings
        if wished.encryption and head.encryption != wished.encryption:
            return f"it is encrypted by {head.encryption or 'nothing'}, not by {wished.encryption}", 0
        if self.compare == "checksum" and head.checksum:
            if computed is None:
                computed = measure_all(self.backup.path / path, size, self.sums[path], wished.part_bytes)
            if head.checksum.partition("-")[0] == computed:  # -<parts> follows, for most
                return None, 0
            # Sent in parts of another size once, or of a kind that only this provider knows: its bytes tell.
        digest = hashlib.sha256()
        read_object(self.storage, key, size, digest.update)
        return (None if digest.hexdigest() == self.sums[path] else "read back, it has another SHA-256"), size


def renew_drills(
    storage: Storage, local: list[Backup], copies: Mapping[str, Copy], *, prefix: str, settings: Settings
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield each copy whose backup has been restored since, and what writes that into its marker."""
    for backup in local:
        copy = copies.get(backup.name)
        if copy is None or copy.marker is None or copy.marker["identity"] != backup.identity:
            continue
        drill = drill_of(read_proof(backup))
        if drill and drill != copy.marker.get("drill"):
            text = json.dumps({**copy.marker, "drill": drill}, indent=1, sort_keys=True) + "\n"
            yield backup.name, partial(upload_text, storage, place(prefix, backup.name, MARKER), text, settings)


def delete_copy(storage: Storage, copy: Copy, *, prefix: str, jobs: int) -> None:
    """Delete a copy, its marker first: what is left after a kill is listed no more, and the next run deletes it."""
    if MARKER in copy.sizes:
        delete(storage, place(prefix, copy.name, MARKER))
        reached("backup_offsite:unmarked")
    rest = [place(prefix, copy.name, path) for path in sorted(copy.sizes) if path != MARKER]
    side_by_side(storage, jobs, [partial(delete, storage, key) for key in rest])


def old_uploads(storage: Storage, *, prefix: str, wanted: str, before: float) -> list[Unfinished]:
    """Return the uploads in parts for the set that were begun before ``before`` and never ended: their parts cost money.

    Where the provider does not tell, or this key may not know, none: a lifecycle rule of the bucket can do the same.
    """
    try:
        found = list_unfinished(storage, place(prefix, "", f"{wanted}_"))
    except S3Error:
        return []
    return [
        one
        for one in found
        if one.begun_at < before and sort_out([Object(one.key, 0, 0)], prefix=prefix, wanted=wanted)
    ]
