# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to S3 and what speaks it (R2, MinIO): signed with version 4, and their answers read. Private to this collection.

Buckets are addressed by path (``https://endpoint/bucket``), which all of them understand.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple
from urllib.parse import quote

EMPTY = hashlib.sha256(b"").hexdigest()
OBJECT = re.compile(r"<Contents>(.*?)</Contents>", re.DOTALL)
KEY_SAFE = "/-_.~"


class Object(NamedTuple):
    """One object of a bucket."""

    key: str
    size: int
    modified_at: float  # seconds since 1970


class Page(NamedTuple):
    """A part of a listing."""

    objects: list[Object]
    next_token: str | None  # asks for the rest; None where this is all


def request_url(endpoint: str, bucket: str, query: Mapping[str, str], key: str = "") -> str:
    """Return the URL that asks ``bucket``, or its object ``key``; its query is in the order that is signed."""
    pairs = "&".join(f"{_escape(name)}={_escape(value)}" for name, value in sorted(query.items()))
    path = f"{quote(bucket, safe='')}{f'/{quote(key, safe=KEY_SAFE)}' if key else ''}"
    return f"{endpoint.rstrip('/')}/{path}{f'?{pairs}' if pairs else ''}"


def _escape(text: str) -> str:
    return quote(text, safe="-_.~")


def sign(
    url: str,
    *,
    host: str,
    access_key: str,
    secret_key: str,
    region: str,
    now: datetime,
    method: str = "GET",
    payload: str = EMPTY,
    headers: Mapping[str, str] | None = None,
    service: str = "s3",
) -> dict[str, str]:
    """Return the headers that sign a request, ``headers`` among them.

    :param url: as :func:`request_url` makes it
    :param host: as it is sent: with the port where it is not the usual one
    :param payload: SHA-256 of the body
    :param headers: what is signed too: a proxy, or whoever holds the line, cannot change it
    :param service: of AWS, that is asked
    """
    stamp = now.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    path, _mark, query = re.sub(r"\A\w+://[^/]*", "", url).partition("?")
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    own = {"x-amz-content-sha256": payload, "x-amz-date": stamp, **(headers or {})}
    signed = {"host": host, **{key.lower(): " ".join(value.split()) for key, value in own.items()}}
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        [method, path or "/", query, *(f"{key}:{signed[key]}" for key in sorted(signed)), "", names, payload]
    )
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret_key}".encode()
    for part in (stamp[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return {
        **own,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}",
    }


def read_page(body: str) -> Page:
    """Return the objects that an answer to a listing tells of.

    :raises ValueError: it is no such answer.
    """
    if "<ListBucketResult" not in body:
        raise ValueError("the answer is no listing of a bucket")
    objects = []
    for part in OBJECT.findall(body):
        modified = datetime.fromisoformat(element(part, "LastModified")[:19])
        moment = modified.replace(tzinfo=timezone.utc).timestamp()
        objects.append(Object(element(part, "Key"), int(element(part, "Size") or 0), moment))
    more = element(body, "IsTruncated") == "true"
    return Page(objects, element(body, "NextContinuationToken") or None if more else None)


def element(body: str, name: str) -> str:
    """Return the text of the first element ``name``, or nothing."""
    found = re.search(rf"<{name}>([^<]*)</{name}>", body)
    return html.unescape(found[1]) if found else ""


def refusal(status: int, body: str, bucket: str, *, wish: str = "list the bucket") -> dict[str, Any]:
    """Return ``detail``, ``remedy`` and whether it is the bucket's fault (``down``) or ours, for an answer that is not 200.

    :param wish: what was asked for
    """
    code = element(body, "Code")
    cases = {
        "InvalidAccessKeyId": ("the access key is not known there", "correct access_key", False),
        "SignatureDoesNotMatch": ("the secret key is wrong", "correct secret_key", False),
        "Unauthorized": ("the keys are wrong", "correct access_key and secret_key", False),
        "InvalidArgument": ("the access key is malformed", "correct access_key", False),
        "ExpiredToken": ("the access key has expired", "renew it", False),
        "AccessDenied": (f"this access key may not {wish}", f"allow the key to {wish}", False),
        "RequestTimeTooSkewed": (
            "this host's clock differs too much from the server's",
            "set the clock: timedatectl, chronyc tracking",
            False,
        ),
        "NoSuchBucket": (f"there is no bucket {bucket}", "see who deleted it, or correct bucket and endpoint", True),
        "AuthorizationHeaderMalformed": (
            f"its region is {element(body, 'Region') or 'another'}",
            "correct region",
            False,
        ),
        "PermanentRedirect": ("it is in another region", "correct region or endpoint", False),
        "NotImplemented": ("the provider has no such setting", "leave it out of what the bucket must have", False),
        "InvalidObjectState": ("it is archived", "have it restored at the provider first", False),
        "InvalidStorageClass": ("the provider has no such storage class", "correct storage_class", False),
        "SlowDown": ("it asks for fewer requests", "see who asks so much", True),
    }
    said, remedy, down = cases.get(
        code, ("", "see the provider's status page" if status >= 500 else "correct endpoint", status >= 500)
    )
    what = f"HTTP {status}{f' {code}' if code else ''}"
    return {"detail": f"{what}: {said}" if said else what, "remedy": remedy, "down": down}
