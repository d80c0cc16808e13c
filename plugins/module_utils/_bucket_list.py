# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bucket, or a directory, holds: by name, in order, one after the other, in flat memory. Private to this collection.

Buckets are listed in the order of the bytes of their names, a thousand at a time; the next thousand is asked for while one is worked on.
"""

from __future__ import annotations

import html
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, Optional

from ansible_collections.runbook.ops.plugins.module_utils._s3 import element
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import S3Error, Storage, Wish

OWN = ".bucket_sync"  # what begins so, directly below a prefix or a directory, is written by us and is no content
LISTED = re.compile(r"<(Contents|Version|DeleteMarker)>(.*?)</\1>", re.DOTALL)
FIELD = re.compile(r"<(Key|Size|ETag|LastModified|VersionId)>([^<]*)<")


class Entry(NamedTuple):
    """One object, or one file."""

    key: str  # below the prefix, or the directory
    size: int
    tag: str  # what the storage calls its content by, without quotes; nothing for a file
    modified_at: float  # seconds since 1970
    version: str | None = None  # only where a moment of the past was asked for


def file_time(entry: Entry) -> float:
    """Return the time that a file of the object gets: the object's, its tag in the fraction.

    Storages tell times by the second, and an object may be replaced by another one of its size within the same one.
    """
    return int(entry.modified_at) + (zlib.crc32(entry.tag.encode()) % 999_999 + 1) / 1_000_000


class _Found(NamedTuple):
    entry: Entry
    is_there: bool  # no mark of a deletion


_Page = tuple[list[_Found], Optional[dict[str, str]]]


def list_bucket(storage: Storage, prefix: str, *, below: str = "", at: float | None = None) -> Iterator[Entry]:
    """Yield the objects of ``prefix`` whose names begin with ``below``, in order: as they are, or as they were ``at`` a time.

    :raises S3Error: the bucket cannot be listed, or gives no order.
    """
    before = ""
    for entry in _past(storage, prefix, below, at) if at is not None else _present(storage, prefix, below):
        if entry.key <= before and before:
            raise S3Error(
                f"{storage.place.bucket} is not listed in the order of names: such a bucket cannot be compared"
            )
        before = entry.key
        if entry.key and not entry.key.startswith(OWN):
            yield entry


def _present(storage: Storage, prefix: str, below: str) -> Iterator[Entry]:
    def ask(more: dict[str, str]) -> _Page:
        query = {"list-type": "2", "prefix": prefix + below, **more}
        text = storage.ask(Wish("list the bucket", "GET", query=query)).text
        token = _next(storage, text, "<ListBucketResult", ("NextContinuationToken",))
        return _read(text, prefix), token and {"continuation-token": token["NextContinuationToken"]}

    return (found.entry for page in _pages(ask) for found in page)


def _past(storage: Storage, prefix: str, below: str, at: float) -> Iterator[Entry]:
    def ask(more: dict[str, str]) -> _Page:
        query = {"versions": "", "prefix": prefix + below, **more}
        text = storage.ask(Wish("list the versions of objects", "GET", query=query)).text
        token = _next(storage, text, "<ListVersionsResult", ("NextKeyMarker", "NextVersionIdMarker"))
        markers = {"NextKeyMarker": "key-marker", "NextVersionIdMarker": "version-id-marker"}
        # Not all providers mix versions and deletions: within a page they are brought into one order.
        found = sorted(_read(text, prefix), key=lambda one: one.entry.key)
        return found, token and {markers[name]: value for name, value in token.items() if value}

    everything = (found for page in _pages(ask) for found in page)
    for _key, versions in groupby(everything, key=lambda one: one.entry.key):
        known = [one for one in versions if one.entry.modified_at <= at]
        newest = max(known, key=lambda one: one.entry.modified_at, default=None)
        if newest is not None and newest.is_there:
            yield newest.entry


def _pages(ask: Callable[[dict[str, str]], _Page]) -> Iterator[list[_Found]]:
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(ask, {})
        while True:
            page, more = coming.result()
            if more:
                coming = pool.submit(ask, more)
            yield page
            if not more:
                return


def _next(storage: Storage, text: str, root: str, names: tuple[str, ...]) -> dict[str, str] | None:
    if root not in text:
        raise S3Error(f"{storage.line.named}: the answer is no listing of a bucket; correct endpoint")
    if element(text, "IsTruncated") != "true":
        return None
    token = {name: element(text, name) for name in names}
    if not token[names[0]]:
        raise S3Error(f"{storage.line.named} breaks off its listing without saying how it goes on; correct endpoint")
    return token


def _read(text: str, prefix: str) -> list[_Found]:
    found = []
    for kind, block in LISTED.findall(text):
        said = dict(FIELD.findall(block))
        key = html.unescape(said["Key"])
        if not key.startswith(prefix):
            raise S3Error(f"a listing of {prefix!r} names {key!r}: correct endpoint")
        tag = html.unescape(said.get("ETag", "")).strip('"')
        size, moment = int(said.get("Size") or 0), parse_moment(said["LastModified"])
        version = said.get("VersionId")
        found.append(_Found(Entry(key[len(prefix) :], size, tag, moment, version), kind != "DeleteMarker"))
    return found


def parse_moment(text: str) -> float:
    """Return a time such as ``2026-11-21T02:00:00.123Z`` in seconds since 1970.

    :raises ValueError: it is none, or has no zone.
    """
    moment = datetime.fromisoformat(
        re.sub(r"(\.\d{1,6})\d*", lambda found: f"{found[1]:0<7}", text).replace("Z", "+00:00")
    )
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no zone: write 2026-11-21T02:00:00Z")
    return moment.astimezone(timezone.utc).timestamp()


def list_directory(root: Path, below: str = "") -> Iterator[Entry]:
    """Yield the files below ``root`` in the order in which a bucket lists their names. Links are not followed.

    :raises OSError: it cannot be read.
    """
    with os.scandir(root / below) as found:
        # A slash sorts behind a hyphen: "a-b" comes before "a/b".
        inside = sorted((f"{one.name}/" if one.is_dir(follow_symlinks=False) else one.name) for one in found)
    for name in inside:
        key = f"{below}{name}"
        if not below and name.startswith(OWN):
            continue
        if name.endswith("/"):
            yield from list_directory(root, key)
            continue
        status = os.lstat(root / key)
        if stat.S_ISREG(status.st_mode):
            yield Entry(key, status.st_size, "", status.st_mtime)
