# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upload files to object storage, large ones in parts, so that a broken upload is gone on with. Private to this collection.

What is sent is hashed first and signed with the hash: a file that changes between the two is refused by the storage. A file is
read twice for that, a part at a time, so that the second time it comes from memory; nothing is written anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._s3 import element
from ansible_collections.runbook.ops.plugins.module_utils._s3_connection import Body
from ansible_collections.runbook.ops.plugins.module_utils._s3_objects import (
    SHA256,
    Unfinished,
    abort,
    list_unfinished,
    look,
    side_by_side,
)
from ansible_collections.runbook.ops.plugins.module_utils._s3_pieces import (
    MIB,
    Part,
    blocks,
    checksum,
    measure,
    refuse_other,
    split,
)
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import GoneError, S3Error, Storage, Wish

PART = re.compile(r"<Part>(.*?)</Part>", re.DOTALL)


class Settings(NamedTuple):
    """How objects are stored, and how they are sent."""

    encryption: str | None = None  # AES256 or aws:kms; None: what the bucket does by default
    kms_key: str | None = None
    storage_class: str | None = None
    checksums: bool = True  # let the storage compute SHA-256 too
    part_bytes: int = 64 * MIB
    jobs: int = 4
    headers: tuple[tuple[str, str], ...] = ()  # what else is kept with an object: its type, say


class Sent(NamedTuple):
    """What became of a file."""

    checksum: str  # as the storage tells it
    bytes_sent: int  # without the parts that were there already


def upload_file(storage: Storage, path: Path, key: str, sha256: str, settings: Settings) -> Sent:
    """Upload a file. An unfinished upload of the same file is gone on with.

    :param sha256: what the file must be; it is noted with the object
    :raises S3Error: the file is another, or the storage did not take it.
    """
    size = path.stat().st_size
    if len(split(size, settings.part_bytes)) == 1:
        part = measure(path, 0, size)
        refuse_other(path, part.sha256.hex(), sha256)
        _send(storage, key, part, settings, headers=_headers(settings, sha256))
        return Sent(checksum([part]), size)
    return _in_parts(storage, path, key, sha256, settings)


def upload_text(storage: Storage, key: str, text: str, settings: Settings) -> None:
    """Upload a small text."""
    data = text.encode("utf-8")
    digest = hashlib.sha256(data)
    headers = {
        **_headers(settings._replace(storage_class=None), digest.hexdigest()),
        "Content-Type": "application/json",
        "Content-MD5": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
    }
    body = Body(len(data), digest.hexdigest(), lambda: [data])
    storage.ask(Wish(f"write {key}", "PUT", key, headers=headers, body=body))


def _headers(settings: Settings, sha256: str) -> dict[str, str]:
    return {SHA256: sha256, **dict(settings.headers), **storing(settings)}


def storing(settings: Settings) -> dict[str, str]:
    """Return the headers that say how an object is to be stored."""
    asked = {
        "x-amz-server-side-encryption": settings.encryption,
        "x-amz-server-side-encryption-aws-kms-key-id": settings.kms_key,
        "x-amz-storage-class": settings.storage_class,
    }
    return {name: value for name, value in asked.items() if value}


def _send(storage: Storage, key: str, part: Part, settings: Settings, *, headers: Any = None, query: Any = None) -> str:
    """Send one piece as an object, or by ``query`` as a part of one; return its tag."""
    own = {"Content-MD5": base64.b64encode(part.md5).decode()}
    if settings.checksums:
        own["x-amz-checksum-sha256"] = base64.b64encode(part.sha256).decode()
    body = Body(part.size, part.sha256.hex(), lambda: blocks(part.path, part.offset, part.size))
    reply = storage.ask(Wish(f"write {key}", "PUT", key, query or {}, {**(headers or {}), **own}, body))
    return reply.headers.get("etag", "")


def _in_parts(storage: Storage, path: Path, key: str, sha256: str, settings: Settings) -> Sent:
    pieces = split(path.stat().st_size, settings.part_bytes)
    upload, there = _begin(storage, key, sha256, settings)
    whole, parts, resumed = hashlib.sha256(), [], 0

    def work() -> Iterator[Callable[[], str]]:
        nonlocal resumed
        for number, (offset, size) in enumerate(pieces, 1):
            part = measure(path, offset, size, whole)
            parts.append(part)
            tag = _is_there(there.get(number), part)
            resumed += part.size if tag else 0
            query = {"partNumber": str(number), "uploadId": upload.id}
            yield partial(str, tag) if tag else partial(_send, storage, key, part, settings, query=query)

    tags = side_by_side(storage, settings.jobs, work())
    if whole.hexdigest() != sha256:
        abort(storage, upload)
    refuse_other(path, whole.hexdigest(), sha256)
    _complete(storage, upload, list(zip(tags, parts)), sha256, settings)
    return Sent(checksum(parts), sum(part.size for part in parts) - resumed)


def _begin(storage: Storage, key: str, sha256: str, settings: Settings) -> tuple[Unfinished, dict[int, str]]:
    """Return the upload that goes on, and its parts that are there already, as the storage tells of them."""
    with suppress(S3Error):  # not every provider tells, nor every key may know: then it begins anew
        unfinished = [one for one in list_unfinished(storage, key) if one.key == key]
        if unfinished:
            return unfinished[-1], _list_parts(storage, unfinished[-1])
    headers = _headers(settings, sha256)
    if settings.checksums:
        headers["x-amz-checksum-algorithm"] = "SHA256"
    reply = storage.ask(Wish(f"write {key}", "POST", key, {"uploads": ""}, headers))
    identity = element(reply.text, "UploadId")
    if not identity:
        raise S3Error(f"{storage.line.named} began no upload of {key}: is endpoint that of S3?")
    return Unfinished(key, identity, 0), {}


def _list_parts(storage: Storage, upload: Unfinished) -> dict[int, str]:
    found: dict[int, str] = {}
    marker = ""
    while True:
        query = {"uploadId": upload.id, **({"part-number-marker": marker} if marker else {})}
        text = storage.ask(Wish(f"list the parts of {upload.key}", "GET", upload.key, query)).text
        found.update({int(element(part, "PartNumber")): part for part in PART.findall(text)})
        marker = element(text, "NextPartNumberMarker")
        if element(text, "IsTruncated") != "true" or not marker:
            return found


def _is_there(told: str | None, part: Part) -> str:
    """Return the tag of a part that is there with exactly these bytes, else nothing."""
    if told is None or element(told, "Size") != str(part.size):
        return ""
    tag, said = element(told, "ETag"), element(told, "ChecksumSHA256")
    same = said == base64.b64encode(part.sha256).decode() if said else tag.strip('"') == part.md5.hex()
    return tag if same else ""


def _complete(
    storage: Storage, upload: Unfinished, parts: list[tuple[str, Part]], sha256: str, settings: Settings
) -> None:
    """Make one object of the parts. Where the answer got lost and it is there already, that is fine."""
    lines = []
    for number, (tag, part) in enumerate(parts, 1):
        said = base64.b64encode(part.sha256).decode()
        more = f"<ChecksumSHA256>{said}</ChecksumSHA256>" if settings.checksums else ""
        lines.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag>{more}</Part>")
    data = f"<CompleteMultipartUpload>{''.join(lines)}</CompleteMultipartUpload>".encode()
    body = Body(len(data), hashlib.sha256(data).hexdigest(), lambda: [data])
    try:
        storage.ask(Wish(f"write {upload.key}", "POST", upload.key, {"uploadId": upload.id}, body=body))
    except GoneError:
        head = look(storage, upload.key, checksum=False)
        if head is None or head.sha256 != sha256:
            raise
