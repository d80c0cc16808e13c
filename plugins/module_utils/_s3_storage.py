# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed requests to one bucket, tried again where that can help. Private to this collection.

Tried again is what can pass: no connection, a broken one, an answer that is too short, HTTP 408, 429 and 5xx, and data that
arrived damaged. A refusal is final, and says what to mend.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._s3 import element, refusal, request_url, sign
from ansible_collections.runbook.ops.plugins.module_utils._s3_connection import (
    NOTHING,
    Body,
    Line,
    Request,
    TroubleError,
    read_body,
)

MOST_TEXT_BYTES = 64 << 20  # of an answer that is read into memory
PAUSES = (0.25, 30.0)  # seconds: the first between two attempts, and the longest
DAMAGED_TRIES = 3  # data that arrives damaged again and again is damaged here, or by something on the way
DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InvalidDigest"}
PASSING = {"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "Throttling", "OperationAborted"}
GONE = {"NoSuchKey", "NoSuchUpload"}
GOOD = (200, 204, 206)


class S3Error(Exception):
    """The storage does not do what it should; the message is one line that says what to do."""


class GoneError(S3Error):
    """There is no such object, or no such upload."""


class ChangedError(S3Error):
    """The object is another than the one that was asked for."""


class Place(NamedTuple):
    """A bucket, who asks, and how patient."""

    bucket: str
    access_key: str
    secret_key: str
    endpoint: str | None = None  # without it that of AWS in the region
    region: str = "us-east-1"
    session_token: str | None = None
    verify: bool = True
    ca_path: str | None = None
    timeout_seconds: float = 60
    retry_seconds: float = 300  # how long one request is tried again, from its first failure


class Reply(NamedTuple):
    """The answer: its text, unless a sink took it."""

    status: int
    headers: dict[str, str]  # names in lower case
    text: str


class Sink(NamedTuple):
    """Takes the body of a good answer, and begins anew, or goes on, where an attempt failed."""

    take: Callable[[Reply, Iterator[bytes]], None]
    size: int


class Wish(NamedTuple):
    """One request, in the terms of storage."""

    what: str  # as in "this access key may not …"
    method: str
    key: str = ""
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: Body = NOTHING
    sink: Sink | None = None


class Storage:
    """One bucket. Threads may share it."""

    def __init__(self, place: Place) -> None:
        """Prepare to ask; nothing is sent yet.

        :raises S3Error: the endpoint is no URL.
        """
        self.place = place
        for name in ("access_key", "secret_key", "session_token"):
            # Python would name it in its own words, with the secret in them.
            if any(character.isspace() for character in getattr(place, name) or ""):
                raise S3Error(f"{name} holds a space or a line break: correct it")
        try:
            self.line = Line(
                place.endpoint or f"https://s3.{place.region}.amazonaws.com",
                timeout_seconds=place.timeout_seconds,
                verify=place.verify,
                ca_path=place.ca_path,
            )
        except ValueError as exc:
            raise S3Error(f"endpoint: {exc}") from exc
        self.stop = threading.Event()  # set by whoever gives up, so that other threads do not go on trying

    def ask(self, wish: Callable[[], Wish] | Wish) -> Reply:
        """Return the answer to one request, which is tried again where that can help.

        :param wish: a function is asked anew for each attempt
        :raises GoneError: there is no such object.
        :raises ChangedError: a condition of the request does not hold.
        :raises S3Error: it was refused, or did not succeed within ``retry_seconds``.
        """
        deadline, tries, pause = 0.0, 1, PAUSES[0]
        while True:
            now = wish if isinstance(wish, Wish) else wish()
            try:
                return self._once(now)
            except TroubleError as exc:
                deadline = (
                    deadline or time.monotonic() + self.place.retry_seconds
                )  # large bodies may have taken long already
                wait = max(pause * random.uniform(0.5, 1.5), min(exc.wait_seconds, PAUSES[1]))  # noqa: S311  # no secret
                enough = tries >= DAMAGED_TRIES if exc.damaged else time.monotonic() + wait > deadline
                if enough or self.stop.wait(wait):
                    raise S3Error(
                        f"cannot {now.what} at {self.line.named}: {exc}{f'; tried {tries} times' if tries > 1 else ''}. "
                        "See the network and the provider's status page, then run again: it goes on from here"
                    ) from exc
                tries, pause = tries + 1, min(pause * 2, PAUSES[1])

    def _once(self, wish: Wish) -> Reply:
        sink = wish.sink
        root = f"{self.line.scheme}://{self.line.named}"
        url = request_url(root, self.place.bucket, wish.query, wish.key)
        request = Request(
            wish.method, url[len(root) :], self._signed(url, wish), wish.body, expected_bytes=sink.size if sink else 0
        )
        with self.line.exchange(request) as answer:
            reply = Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, "")
            if sink and answer.status in GOOD:
                sink.take(reply, read_body(answer, method=wish.method))
                return reply
            reply = reply._replace(text=_text(answer, wish.method))
        self._judge(reply, wish.what)
        return reply

    def _signed(self, url: str, wish: Wish) -> dict[str, str]:
        place = self.place
        token = {"x-amz-security-token": place.session_token} if place.session_token else {}
        return sign(
            url,
            host=self.line.named,
            access_key=place.access_key,
            secret_key=place.secret_key,
            region=place.region,
            now=datetime.now(timezone.utc),
            method=wish.method,
            payload=wish.body.sha256,
            headers={**wish.headers, **token},
        )

    def _judge(self, reply: Reply, what: str) -> None:
        """Return for a good answer. A server that has said 200 to keep the line open may say in the body that it failed."""
        late = reply.status == 200 and "<Error>" in reply.text.lstrip()[:200]
        if reply.status in GOOD and not late:
            return
        status, code = 500 if late else reply.status, element(reply.text, "Code")
        said = refusal(status, reply.text, self.place.bucket, wish=what)
        if code in GONE or (status == 404 and not code):
            raise GoneError(f"cannot {what}: {self.place.bucket} has nothing of that name (HTTP {status})")
        if status == 412:
            raise ChangedError(f"cannot {what}: it has been replaced meanwhile (HTTP 412)")
        if code in DAMAGED:
            raise TroubleError(f"HTTP {status} {code}: it arrived damaged", damaged=True)
        if status in (408, 429) or (status >= 500 and code != "NotImplemented") or code in PASSING:
            wanted = reply.headers.get("retry-after", "")
            raise TroubleError(said["detail"], wait_seconds=float(wanted) if wanted.isdigit() else 0)
        raise S3Error(f"cannot {what} at {self.line.named}: {said['detail']}; {said['remedy']}")


def _text(answer: http.client.HTTPResponse, method: str) -> str:
    return b"".join(read_body(answer, method=method, most=MOST_TEXT_BYTES)).decode("utf-8", "replace")
