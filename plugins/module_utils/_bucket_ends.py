# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two places of a synchronisation: a bucket, or a directory. Private to this collection.

A directory keeps what is replaced or deleted in it under ``.bucket_sync/history``, as a bucket with versions does.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import sync_directory
from ansible_collections.runbook.ops.plugins.module_utils._bucket_copy import NOTE, Thing, file_tag, parts_of
from ansible_collections.runbook.ops.plugins.module_utils._bucket_list import (
    OWN,
    Entry,
    file_time,
    list_bucket,
    list_directory,
)
from ansible_collections.runbook.ops.plugins.module_utils._s3 import element
from ansible_collections.runbook.ops.plugins.module_utils._s3_objects import SHA256, delete, read_text
from ansible_collections.runbook.ops.plugins.module_utils._s3_pieces import blocks
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import GoneError, Place, S3Error, Storage, Wish
from ansible_collections.runbook.ops.plugins.module_utils._s3_upload import Settings, upload_text

MANIFEST = f"{OWN}.json"
MOST_NAME_BYTES = 255
RUN = re.compile(r"\d{8}T\d{6}Z")


class SyncError(Exception):
    """It cannot or should not be done; the message is one line that says what to do."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class Bucket:
    """What lies below a prefix of a bucket."""

    is_bucket = True

    def __init__(self, place: Place, prefix: str) -> None:
        """Prepare to ask.

        :raises S3Error: the endpoint is no URL.
        """
        self.storage, self.prefix = Storage(place), f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.label = f"{place.bucket}/{self.prefix}".rstrip("/")
        self.identity = f"{self.storage.line.scheme}://{self.storage.line.named}/{self.label}"

    def entries(self, only: Sequence[str] = (), at: float | None = None) -> Iterator[Entry]:
        """Yield what is there, in order; of ``only`` these names, and what is below those that end with a slash."""
        return _chosen(list_bucket(self.storage, self.prefix, below=_common(only), at=at), only)

    def thing(self, entry: Entry) -> Thing:
        """Return an object where it lies."""
        return Thing(self.storage, self.prefix + entry.key, entry)

    def is_copy(self, source: Entry, target: Entry, root: Path | None) -> bool:
        """Return whether ``target``, here, is a copy of ``source``, whose tag is another, or which is a file below ``root``."""
        try:
            said = self.thing(target).headers()
        except S3Error:  # gone or replaced meanwhile: the copy decides
            return False
        if root is None:
            return said.get(NOTE) == source.tag
        parts = parts_of(self.thing(target))
        tag = file_tag(blocks(root / source.key, 0, source.size), parts.size if parts else None)
        if tag == target.tag:
            return True
        return bool(said.get(SHA256)) and said[SHA256] == file_sha256(root / source.key, source.size)

    def delete(self, entry: Entry) -> None:
        """Delete an object; with versions it stays as an old one."""
        delete(self.storage, self.prefix + entry.key)

    def keeps(self) -> dict[str, Any]:
        """Return whether versions are kept, and for how long nobody can delete them; None for what this key may not know."""
        return {"versioned": self._versioned(), "object_lock": self._lock()}

    def _versioned(self) -> bool | None:
        try:
            reply = self.storage.ask(Wish("read the bucket's versioning", "GET", query={"versioning": ""}))
        except S3Error as exc:
            return False if "NotImplemented" in str(exc) else None
        return element(reply.text, "Status") == "Enabled"

    def _lock(self) -> dict[str, Any] | None:
        try:
            text = self.storage.ask(Wish("read the bucket's object lock", "GET", query={"object-lock": ""})).text
        except S3Error as exc:
            known = any(code in str(exc) for code in ("ObjectLockConfigurationNotFoundError", "NotImplemented"))
            return {"enabled": False, "mode": None, "days": None} if known else None
        days, years = element(text, "Days"), element(text, "Years")
        return {
            "enabled": element(text, "ObjectLockEnabled") == "Enabled",
            "mode": element(text, "Mode") or None,
            "days": int(days) if days else int(years) * 365 if years else None,
        }

    def manifest(self) -> dict[str, Any] | None:
        """Return what was written down when the last run had finished, None where there is nothing of the kind."""
        try:
            return _parsed(read_text(self.storage, self.prefix + MANIFEST))
        except GoneError:
            return None

    def write_manifest(self, manifest: Mapping[str, Any], settings: Settings) -> None:
        """Write down what is there."""
        upload_text(self.storage, self.prefix + MANIFEST, _text(manifest), settings._replace(headers=()))


class Folder:
    """A directory."""

    is_bucket = False

    def __init__(self, path: str, stamp: str) -> None:
        """Prepare to look; nothing is made yet.

        :param stamp: names what this run replaces or deletes
        """
        self.root, self.label, self.identity = Path(path), path, f"file://{path}"
        self.own = self.root / OWN
        self.history = self.own / "history" / stamp

    def entries(self, only: Sequence[str] = (), at: float | None = None) -> Iterator[Entry]:
        """Yield the files that are there, in order."""
        if at is not None:
            raise SyncError(f"as_of asks for the past of {self.label}, a directory: its history is below {self.own}")
        return _chosen(list_directory(self.root), only) if self.root.is_dir() else iter(())

    def put(self, entry: Entry, fetched: Path) -> None:
        """Give what was fetched its name; what has it is kept in the history.

        :raises SyncError: something that is no file is in its way.
        """
        path = self.root / entry.key
        self._make_parents(path)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise SyncError(f"{path} is no file, so nothing can be written there: move it away")
        with fetched.open("rb") as file:
            os.utime(file.fileno(), (entry.modified_at, file_time(entry)))
            os.fsync(file.fileno())
        if path.exists():
            self._keep(entry.key, path)
        fetched.replace(path)
        sync_directory(path.parent)

    def _make_parents(self, path: Path) -> None:
        at = self.root
        for name in path.relative_to(self.root).parts[:-1]:
            at /= name
            if at.is_symlink() or (at.exists() and not at.is_dir()):
                raise SyncError(f"{at} is no directory, so {path} cannot be written: move it away")
            at.mkdir(mode=0o700, exist_ok=True)

    def _keep(self, key: str, path: Path) -> None:
        kept = self.history / key
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not kept.exists():  # it is there where a run was killed in between
            os.link(path, kept)

    def delete(self, entry: Entry) -> None:
        """Take a file away; it stays in the history."""
        path = self.root / entry.key
        if path.exists():
            self._keep(entry.key, path)
            path.unlink()
            sync_directory(path.parent)

    def forget(self, older_than_seconds: float) -> list[str]:
        """Delete what was replaced or deleted longer ago; return the moments."""
        gone = []
        for run in sorted(one for one in self.history.parent.glob("*") if RUN.fullmatch(one.name)):
            moment = datetime.strptime(run.name, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
            if time.time() - moment.timestamp() > older_than_seconds:
                shutil.rmtree(run)
                gone.append(run.name)
        return gone

    def keeps(self) -> dict[str, Any]:
        """Return what :meth:`Bucket.keeps` does."""
        return {"versioned": True, "object_lock": None}

    def manifest(self) -> dict[str, Any] | None:
        """Return what was written down when the last run had finished, None where there is nothing of the kind."""
        try:
            return _parsed((self.root / MANIFEST).read_text("utf-8"))
        except FileNotFoundError:
            return None

    def write_manifest(self, manifest: Mapping[str, Any], _settings: Settings) -> None:
        """Write down what is there."""
        aside = self.own / "manifest"
        with aside.open("w", encoding="utf-8") as file:
            file.write(_text(manifest))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.root / MANIFEST)
        sync_directory(self.root)


def _common(only: Sequence[str]) -> str:
    """Return what all names begin with."""
    if not only:
        return ""
    first, last = min(only), max(only)
    return first[
        : next((at for at, pair in enumerate(zip(first, last)) if pair[0] != pair[1]), min(len(first), len(last)))
    ]


def _chosen(entries: Iterator[Entry], only: Sequence[str]) -> Iterator[Entry]:
    folders = tuple(name for name in only if name.endswith("/"))
    return (one for one in entries if not only or one.key in only or (folders and one.key.startswith(folders)))


def unfit(key: str) -> str | None:
    """Return why an object cannot be a file of its name, None where it can."""
    parts = key.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in key:
        return "its name is none of a file"
    if any(len(part.encode("utf-8", "surrogateescape")) > MOST_NAME_BYTES for part in parts):
        return "its name is longer than a file's may be"
    return None


def file_sha256(path: Path, size: int) -> str:
    """Return the SHA-256 of a file.

    :raises S3Error: it cannot be read.
    """
    whole = hashlib.sha256()
    for block in blocks(path, 0, size):
        whole.update(block)
    return whole.hexdigest()


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        said = json.loads(text)
    except ValueError:
        return None
    return said if isinstance(said, dict) and said.get("format") == 1 else None


def _text(manifest: Mapping[str, Any]) -> str:
    return f"{json.dumps(manifest, indent=2, sort_keys=True)}\n"
