# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy one object from bucket to bucket, by the storage itself where it is the same. Private to this collection.

What is copied is what was listed: one that was replaced meanwhile is refused. An object keeps its tag by which the storage knows its
content, where it can: it is copied in the parts in which it was sent. Where it cannot, the tag of the source is noted with the copy.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ansible_collections.runbook.ops.plugins.module_utils._bucket_list import Entry
from ansible_collections.runbook.ops.plugins.module_utils._bucket_pool import in_order
from ansible_collections.runbook.ops.plugins.module_utils._s3 import KEY_SAFE, element
from ansible_collections.runbook.ops.plugins.module_utils._s3_connection import Body
from ansible_collections.runbook.ops.plugins.module_utils._s3_objects import (
    SHA256,
    Unfinished,
    abort,
    list_unfinished,
    look,
    read_object,
)
from ansible_collections.runbook.ops.plugins.module_utils._s3_pieces import MIB, split
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import ChangedError, S3Error, Storage, Wish
from ansible_collections.runbook.ops.plugins.module_utils._s3_upload import Settings, storing

NOTE = "x-amz-meta-source-etag"
CARRIED = ("content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires")
PARTS = re.compile(r"[0-9a-f]{32}-(\d+)")
USUAL_MIB = (8, 5, 16, 15, 10, 20, 25, 32, 50, 64, 100, 128, 200, 256, 500, 512, 1024)
LARGE = 512 * MIB
CUSTOMER = "x-amz-server-side-encryption-customer-algorithm"


class Thing(NamedTuple):
    """An object where it lies."""

    storage: Storage
    key: str  # whole, with the prefix
    entry: Entry

    @property
    def query(self) -> dict[str, str]:
        """What asks for just this version of it."""
        return {"versionId": self.entry.version} if self.entry.version else {}

    def headers(self) -> dict[str, str]:
        """Return what the storage says of it.

        :raises ChangedError: it is another by now.
        """
        wish = Wish(f"read {self.key}", "HEAD", self.key, self.query)
        said = self.storage.ask(wish).headers
        if self.entry.tag and said.get("etag", "").strip('"') != self.entry.tag:
            raise ChangedError(f"{self.key} has been replaced meanwhile")
        return said


def carried(said: Mapping[str, str]) -> dict[str, str]:
    """Return what is kept with an object and goes with its copy."""
    own = {name: said[name] for name in CARRIED if said.get(name)}
    return {
        **own,
        **{name: text for name, text in said.items() if name.startswith("x-amz-meta-") and name not in (NOTE, SHA256)},
    }


def copy_within(thing: Thing, target: Storage, key: str, settings: Settings, *, note: bool) -> bool:
    """Let the storage copy ``thing`` to ``key`` of another of its buckets. Return whether the copy has the same tag.

    :param note: keep the tag of the source with the copy, because the copy's will be another
    :raises GoneError: it is not there any more.
    :raises ChangedError: it is another by now.
    :raises S3Error: the storage did not copy it.
    """
    parts = parts_of(thing)
    if parts:
        return _copy_in_parts(thing, target, key, settings, parts.size)
    source = _source_headers(thing)
    if note:
        kept = {**carried(thing.headers()), NOTE: thing.entry.tag}
        source = {**source, **kept, "x-amz-metadata-directive": "REPLACE"}
    reply = target.ask(
        Wish(f"copy {thing.key}", "PUT", key, {}, {**source, **storing(settings), **dict(settings.headers)})
    )
    same = element(reply.text, "ETag").strip('"') == thing.entry.tag
    if not same and not note:
        copy_within(thing, target, key, settings, note=True)
    return same


def _source_headers(thing: Thing) -> dict[str, str]:
    version = f"?versionId={quote(thing.entry.version, safe='')}" if thing.entry.version else ""
    path = f"/{quote(thing.storage.place.bucket, safe='')}/{quote(thing.key, safe=KEY_SAFE)}{version}"
    return {"x-amz-copy-source": path, "x-amz-copy-source-if-match": f'"{thing.entry.tag}"'}


class Parts(NamedTuple):
    """In which parts an object was sent."""

    size: int
    certain: bool  # whether the storage says so, or it is what most programs take


def parts_of(thing: Thing) -> Parts | None:
    """Return in which parts an object was sent; None where it was sent as a whole."""
    found = PARTS.fullmatch(thing.entry.tag)
    if not found:
        return None
    count, size = int(found[1]), thing.entry.size
    said = 0
    with suppress(S3Error):  # not every provider tells
        wish = Wish(f"read {thing.key}", "HEAD", thing.key, {**thing.query, "partNumber": "1"})
        said = int(thing.storage.ask(wish).headers.get("content-length") or 0)
    if said and -(-size // said) == count:
        return Parts(said, certain=True)
    return Parts(next((mib * MIB for mib in USUAL_MIB if -(-size // (mib * MIB)) == count), LARGE), certain=False)


def _copy_in_parts(thing: Thing, target: Storage, key: str, settings: Settings, size: int) -> bool:
    with suppress(S3Error):  # not every key may do so
        for left in [one for one in list_unfinished(target, key) if one.key == key]:
            abort(target, left)  # of a run that was killed: who knows of which content
    kept = {**carried(thing.headers()), NOTE: thing.entry.tag, **storing(settings)}
    upload = begin(target, key, kept)
    try:
        pieces = enumerate(split(thing.entry.size, size), 1)
        tags = list(in_order(settings.jobs, pieces, partial(_copy_part, thing, target, upload)))
        lines = "".join(
            f"<Part><PartNumber>{one}</PartNumber><ETag>{tag}</ETag></Part>" for one, tag in enumerate(tags, 1)
        )
        data = f"<CompleteMultipartUpload>{lines}</CompleteMultipartUpload>".encode()
        body = Body(len(data), hashlib.sha256(data).hexdigest(), lambda: [data])
        reply = target.ask(Wish(f"copy {thing.key}", "POST", key, {"uploadId": upload.id}, body=body))
    except S3Error:
        abort(target, upload)
        raise
    return element(reply.text, "ETag").strip('"') == thing.entry.tag


def begin(target: Storage, key: str, headers: Mapping[str, str]) -> Unfinished:
    """Begin an upload in parts."""
    reply = target.ask(Wish(f"write {key}", "POST", key, {"uploads": ""}, headers))
    identity = element(reply.text, "UploadId")
    if not identity:
        raise S3Error(f"{target.line.named} began no upload of {key}: is endpoint that of S3?")
    return Unfinished(key, identity, 0)


def _copy_part(thing: Thing, target: Storage, upload: Unfinished, piece: tuple[int, tuple[int, int]]) -> str:
    number, (offset, size) = piece
    headers = {**_source_headers(thing), "x-amz-copy-source-range": f"bytes={offset}-{offset + size - 1}"}
    query = {"partNumber": str(number), "uploadId": upload.id}
    tag = element(target.ask(Wish(f"copy {thing.key}", "PUT", upload.key, query, headers)).text, "ETag")
    if not tag:
        raise S3Error(
            f"{target.line.named} did not say that it copied a part of {thing.key}; run again with copy: stream"
        )
    return tag


class Fetched(NamedTuple):
    """What was read."""

    sha256: str
    headers: dict[str, str]


def fetch(thing: Thing, path: Path) -> Fetched:
    """Read an object into the new file ``path``, and compare it with its tag where that is one of its content.

    :raises GoneError: it is not there any more.
    :raises ChangedError: it is another by now.
    :raises S3Error: it could not be read, or is damaged.
    :raises OSError: it could not be written.
    """
    said, parts = thing.headers(), parts_of(thing)
    whole, tag = hashlib.sha256(), TagOf(parts.size if parts else None)
    with path.open("xb") as file:

        def write(block: bytes) -> None:
            file.write(block)
            whole.update(block)
            tag.update(block)

        read_object(thing.storage, thing.key, thing.entry.size, write, version=thing.entry.version)
    if _tells_content(thing.entry.tag, said) and (parts is None or parts.certain) and tag.text() != thing.entry.tag:
        thing.headers()  # where it was replaced in between, that is why
        where = thing.storage.place.bucket
        raise S3Error(f"{thing.key} of {where} is damaged there, or was on its way: it is not what its ETag says")
    return Fetched(whole.hexdigest(), said)


def _tells_content(tag: str, said: Mapping[str, str]) -> bool:
    """Return whether a tag is a sum of the content: it is none where that is encrypted with a key of its own."""
    opaque = said.get("x-amz-server-side-encryption", "").startswith("aws:kms")
    return not opaque and CUSTOMER not in said and re.fullmatch(r"[0-9a-f]{32}(-\d+)?", tag) is not None


class DamagedError(S3Error):
    """What is stored is not what was sent."""


def prove(storage: Storage, key: str, source: Entry, sha256: str) -> bool:
    """Return whether an upload has the tag of its source. Where it has another it is read back.

    :raises DamagedError: it is not what was sent.
    """
    head = look(storage, key, checksum=False)
    if head is not None and head.etag.strip('"') == source.tag:
        return True
    back = hashlib.sha256()
    if head is not None:
        read_object(storage, key, head.size, back.update)
    if head is None or back.hexdigest() != sha256:
        raise DamagedError(
            f"{key} arrived damaged in {storage.place.bucket}: read back, it is not what was sent; run again"
        )
    return False


class TagOf:
    """The tag that a storage gives to bytes, sent as a whole or in parts of a size."""

    def __init__(self, part: int | None) -> None:
        self.part, self.count, self._room = part, 0, part or 0
        self._parts, self._now = hashlib.md5(usedforsecurity=False), hashlib.md5(usedforsecurity=False)

    def update(self, block: bytes) -> None:
        """Take the next bytes."""
        while self.part and len(block) > self._room:
            self._now.update(block[: self._room])
            block = block[self._room :]
            self._end_part()
        self._now.update(block)
        self._room -= len(block)

    def _end_part(self) -> None:
        self._parts.update(self._now.digest())
        self.count, self._room, self._now = self.count + 1, self.part or 0, hashlib.md5(usedforsecurity=False)

    def text(self) -> str:
        """Return the tag; nothing more may come then."""
        if not self.part:
            return self._now.hexdigest()
        self._end_part()
        return f"{self._parts.hexdigest()}-{self.count}"


def file_tag(blocks: Iterator[bytes], part: int | None) -> str:
    """Return the tag that a storage gives to a file."""
    tag = TagOf(part)
    for block in blocks:
        tag.update(block)
    return tag.text()
