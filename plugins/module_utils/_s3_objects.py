# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of a bucket: list them, look at one, read one to the end, delete one. Private to this collection."""

from __future__ import annotations

import html
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any, NamedTuple, TypeVar

from ansible_collections.runbook.ops.plugins.module_utils._s3 import Object, element, read_page
from ansible_collections.runbook.ops.plugins.module_utils._s3_connection import TroubleError
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import (
    GoneError,
    Reply,
    S3Error,
    Sink,
    Storage,
    Wish,
)

SHA256 = "x-amz-meta-sha256"
UPLOAD = re.compile(r"<Upload>(.*?)</Upload>", re.DOTALL)
Result = TypeVar("Result")


class Head(NamedTuple):
    """What the storage says of one object."""

    size: int
    etag: str
    sha256: str  # that of the file, which we noted with it; nothing where somebody else wrote it
    checksum: str  # SHA-256 that the storage has computed itself, in base64; of those of the parts where there are some
    encryption: str
    kms_key: str


class Unfinished(NamedTuple):
    """An upload in parts that was begun and not ended."""

    key: str
    id: str
    begun_at: float  # seconds since 1970


def list_objects(storage: Storage, prefix: str) -> list[Object]:
    """Return all objects whose keys begin with ``prefix``, by their keys.

    :raises S3Error: the bucket cannot be listed.
    """
    found: list[Object] = []
    token: str | None = None
    while True:
        query = {"list-type": "2", "prefix": prefix, **({"continuation-token": token} if token else {})}
        reply = storage.ask(Wish("list the bucket", "GET", query=query))
        try:
            page = read_page(reply.text)
        except ValueError as exc:
            raise S3Error(f"{storage.line.named}: {exc}; correct endpoint") from exc
        found += page.objects
        token = page.next_token
        if token is None:
            return found


def look(storage: Storage, key: str, *, checksum: bool) -> Head | None:
    """Return what is known of an object, None where there is none."""
    headers = {"x-amz-checksum-mode": "ENABLED"} if checksum else {}
    try:
        said = storage.ask(Wish(f"read {key}", "HEAD", key, headers=headers)).headers
    except GoneError:
        return None
    return Head(
        int(said.get("content-length") or 0),
        said.get("etag", ""),
        said.get(SHA256, ""),
        said.get("x-amz-checksum-sha256", ""),
        said.get("x-amz-server-side-encryption", ""),
        said.get("x-amz-server-side-encryption-aws-kms-key-id", ""),
    )


def read_object(
    storage: Storage, key: str, size: int, write: Callable[[bytes], Any], *, version: str | None = None
) -> None:
    """Give an object of ``size`` bytes to ``write``, from the first byte to the last; a broken attempt is gone on with.

    :raises S3Error: it cannot be read, or is shorter or longer, or was replaced meanwhile.
    """
    got, etag = 0, ""

    def take(reply: Reply, blocks: Iterator[bytes]) -> None:
        nonlocal got, etag
        etag = etag or reply.headers.get("etag", "")
        if got and (reply.status != 206 or not reply.headers.get("content-range", "").startswith(f"bytes {got}-")):
            raise S3Error(f"cannot read {key}: {storage.line.named} does not know ranges, and broke off at {got} bytes")
        for block in blocks:
            got += len(block)
            if got > size:
                raise S3Error(f"{key} is longer than the {size} bytes that it should have: it was replaced")
            write(block)
        if got < size:
            raise TroubleError(f"{key} ends after {got} of {size} bytes", damaged=True)

    def wish() -> Wish:
        resume = {"Range": f"bytes={got}-", **({"If-Match": etag} if etag else {})} if got else {}
        query = {"versionId": version} if version else {}
        return Wish(f"read {key}", "GET", key, query, resume, sink=Sink(take, size - got))

    storage.ask(wish)


def read_text(storage: Storage, key: str) -> str:
    """Return a small object.

    :raises GoneError: there is none.
    """
    return storage.ask(Wish(f"read {key}", "GET", key)).text


def delete(storage: Storage, key: str) -> None:
    """Delete an object. In a bucket with versions it stays as an old one until a lifecycle rule of the bucket ends it."""
    storage.ask(Wish(f"delete {key}", "DELETE", key))


def keeps_versions(storage: Storage) -> bool | None:
    """Return whether the bucket keeps old versions, None where this key may not know."""
    try:
        reply = storage.ask(Wish("read the bucket's versioning", "GET", query={"versioning": ""}))
    except S3Error:
        return None
    return element(reply.text, "Status") == "Enabled"


def list_unfinished(storage: Storage, prefix: str) -> list[Unfinished]:
    """Return the uploads in parts that were begun under ``prefix`` and not ended, the first 1000, oldest first."""
    reply = storage.ask(Wish("list unfinished uploads", "GET", query={"uploads": "", "prefix": prefix}))
    found = []
    for part in UPLOAD.findall(reply.text):
        begun = datetime.fromisoformat(element(part, "Initiated")[:19]).replace(tzinfo=timezone.utc)
        found.append(Unfinished(html.unescape(element(part, "Key")), element(part, "UploadId"), begun.timestamp()))
    return sorted((one for one in found if one.key.startswith(prefix)), key=lambda one: one.begun_at)


def abort(storage: Storage, upload: Unfinished) -> None:
    """Throw away the parts of an upload."""
    try:
        storage.ask(Wish(f"abort an upload of {upload.key}", "DELETE", upload.key, {"uploadId": upload.id}))
    except GoneError:
        return  # somebody else was quicker


def side_by_side(storage: Storage, jobs: int, work: Iterable[Callable[[], Result]]) -> list[Result]:
    """Return what each of ``work`` returns, ``jobs`` at a time; the first error ends them all, and their waiting."""
    results: list[Result] = []
    running: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            for call in work:
                running.append(pool.submit(call))
                if len(running) > jobs:
                    results.append(running.popleft().result())
            while running:
                results.append(running.popleft().result())
        except BaseException:
            storage.stop.set()
            for future in running:
                future.cancel()
            raise
    return results
