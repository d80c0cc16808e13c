# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy in front of object storage that fails when it is told to: python3 faulty.py --port 39301 --upstream 39300.

``POST /__faults__`` takes a JSON list of ``{"fault", "method", "match", "times", "after", "seconds"}``: of the requests of a method
whose path and query match the expression, the first ``after`` pass, the next ``times`` fail so. ``GET /__requests__`` tells what was
asked since, and forgets it.

| fault | the client meets |
| 500, 503 | an error of the server |
| digest | an answer that says that the body arrived damaged |
| late | HTTP 200 whose body tells of an error |
| slow | an answer after ``seconds`` |
| trickle | a body of which a byte comes every ``seconds`` |
| short | half of the body, and the end of the connection |
| less | half of the body, in a whole answer |
| close | the end of the connection before its body has arrived |
| lost | the end of the connection when the request has been carried out |
| tag | other ETags, as of a storage that encrypts with keys of its own |
| damage | one changed bit in the body: of a GET's answer, or of what a PUT stores |
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS: list[dict[str, Any]] = []
REQUESTS: list[str] = []
LOCK = threading.Lock()
TAG = re.compile(r"[0-9a-f]{32}(?=(-\d+)?(\"|&quot;|&#34;))")
ERRORS = {
    "500": (500, "InternalError"),
    "503": (503, "SlowDown"),
    "digest": (400, "BadDigest"),
    "late": (200, "InternalError"),
}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    upstream = 0

    def handle_one(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if self.path.startswith("/__"):
            self.control(self.rfile.read(length))
            return
        fault = choose(self.command, self.path)
        name = fault["fault"] if fault else ""
        if name == "close":
            self.rfile.read(length // 2)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if name in ERRORS:
            status, code = ERRORS[name]
            self.reply(status, {}, f"<Error><Code>{code}</Code></Error>".encode())
            return
        if name == "slow":
            time.sleep(fault["seconds"])
        if name == "damage" and self.command == "PUT":
            body = damage(body)
        if name == "tag" and body.startswith(b"<CompleteMultipartUpload>"):
            body = other_tags(body.decode()).encode()
        status, headers, answer = self.forward(body)
        if name == "tag":
            headers = {key: other_tags(value) if key.lower() == "etag" else value for key, value in headers.items()}
            answer = other_tags(answer.decode()).encode() if b"<ETag>" in answer else answer
        if name == "lost":
            self.close_connection = True
        elif name == "less":
            self.reply(status, headers, answer[: len(answer) // 2])
        elif name == "damage" and self.command == "GET":
            self.reply(status, headers, damage(answer))
        elif name in ("short", "trickle"):
            self.reply(
                status,
                headers,
                answer,
                sent=len(answer) // 2,
                seconds=fault.get("seconds", 0) if name == "trickle" else 0,
            )
        else:
            self.reply(status, headers, answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_one  # noqa: N815  # names of http.server

    def control(self, body: bytes) -> None:
        with LOCK:
            if self.command == "POST":
                FAULTS[:] = json.loads(body)
                REQUESTS.clear()
            text = json.dumps(REQUESTS)
        self.reply(200, {}, text.encode())

    def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for key, value in self.headers.items():
            if key.lower() != "connection":
                connection.putheader(key, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        data = answer.read()
        headers = {
            key: value
            for key, value in answer.getheaders()
            if key.lower() not in ("connection", "transfer-encoding", "server", "date")
        }
        connection.close()
        return answer.status, headers, data

    def reply(
        self, status: int, headers: dict[str, str], body: bytes, *, sent: int | None = None, seconds: float = 0
    ) -> None:
        self.send_response(status)
        length = headers.get("Content-Length") if self.command == "HEAD" else str(len(body))
        for key, value in headers.items():
            if key.lower() != "content-length":
                self.send_header(key, value)
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if seconds:
            for index in range(len(body)):
                self.wfile.write(body[index : index + 1])
                time.sleep(seconds)
            return
        if self.command != "HEAD":
            self.wfile.write(body[:sent])
        if sent is not None:
            self.close_connection = True

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def choose(method: str, path: str) -> dict[str, Any] | None:
    """Note a request, and return the fault that it is to meet."""
    with LOCK:
        REQUESTS.append(f"{method} {path}")
        for fault in FAULTS:
            if fault.get("method", method) != method or not re.search(fault.get("match", ""), path):
                continue
            if fault.get("after", 0) > 0:
                fault["after"] -= 1
                continue
            if fault.get("times", 1) > 0:
                fault["times"] = fault.get("times", 1) - 1
                return fault
    return None


def other_tags(text: str) -> str:
    """Return ``text`` with each ETag turned round."""
    return TAG.sub(lambda found: found.group()[::-1], text)


def damage(body: bytes) -> bytes:
    """Return ``body`` with one bit changed."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", type=int, required=True)
    given = parser.parse_args()
    Handler.upstream = given.upstream
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer(("127.0.0.1", given.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
