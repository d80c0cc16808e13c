# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/1.1 exchanges that stream both ways and end in time, on one kept connection a thread. Private to this collection.

Bodies pass in blocks, so memory stays flat. An exchange has a time limit that grows with what it carries.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._http import explain, secure, split_url
from ansible_collections.runbook.ops.plugins.module_utils._s3 import EMPTY

BLOCK = 1 << 18
SLOWEST_BYTES_PER_SECOND = 32 << 10


class TroubleError(Exception):
    """An attempt failed in a way that another may not; the message says how."""

    def __init__(self, reason: str, *, damaged: bool = False, wait_seconds: float = 0) -> None:
        super().__init__(reason)
        self.damaged, self.wait_seconds = damaged, wait_seconds


class Body(NamedTuple):
    """What is sent: ``blocks`` gives it again for each attempt."""

    size: int
    sha256: str
    blocks: Callable[[], Iterable[bytes]]


class Request(NamedTuple):
    """What is sent, and about how many bytes come back."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: Body
    expected_bytes: int = 0


NOTHING = Body(0, EMPTY, tuple)


class Line:
    """The way to one server. Threads may share it."""

    def __init__(self, url: str, *, timeout_seconds: float, verify: bool, ca_path: str | None) -> None:
        """Prepare to connect.

        :param timeout_seconds: without a byte, and for an exchange that carries next to nothing
        :raises ValueError: ``url`` is none, or has a path.
        """
        self.scheme, self.host, self.port, path = split_url(url)
        if path != "/":
            raise ValueError(f"{url} has a path: leave it out")
        named = f"[{self.host}]" if ":" in self.host else self.host
        self.named = named if self.port == (443 if self.scheme == "https" else 80) else f"{named}:{self.port}"
        self.timeout_seconds, self.verify, self.ca_path = timeout_seconds, verify, ca_path
        self._mine = threading.local()

    @contextmanager
    def exchange(self, request: Request) -> Iterator[http.client.HTTPResponse]:
        """Send ``request`` and give the answer, whose body is read in the ``with`` block.

        :raises TroubleError: there is no connection, or it broke, or it took too long.
        """
        seconds = self.timeout_seconds + (request.body.size + request.expected_bytes) / SLOWEST_BYTES_PER_SECOND
        connection, late, whole = None, threading.Event(), False
        try:
            connection = self._mine.__dict__.pop("connection", None) or self._connect()
            timer = threading.Timer(seconds, _hang_up, (connection.sock, late))
            timer.daemon = True
            timer.start()
            try:
                yield self._send(connection, request)
                whole = True
            finally:
                timer.cancel()
                timer.join()  # one that hangs up just now would hang up on whoever gets the line's number next
        except (OSError, http.client.HTTPException, TroubleError) as exc:
            if late.is_set():
                raise TroubleError(f"not done within {seconds:.0f} s") from exc
            if isinstance(exc, TroubleError):
                raise
            raise TroubleError(self._say(exc)) from exc
        finally:
            if connection is not None:
                if whole and not late.is_set() and connection.sock is not None:
                    self._mine.connection = connection
                else:
                    connection.close()

    def _send(self, connection: http.client.HTTPConnection, request: Request) -> http.client.HTTPResponse:
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        lines = {"Host": self.named, "User-Agent": "runbook.ops", **request.headers}
        if request.body.size or request.method in ("PUT", "POST"):
            lines["Content-Length"] = str(request.body.size)
        for name, value in lines.items():
            connection.putheader(name, value)
        try:
            connection.endheaders()
            for block in request.body.blocks():
                connection.send(block)
        except (BrokenPipeError, ConnectionResetError):  # why, it may have said before it hung up
            with suppress(OSError, http.client.HTTPException):
                answer = connection.getresponse()
                _let_go(connection)
                if answer.status >= 300:
                    return answer
            raise
        return connection.getresponse()

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.host, self.port)
        plain = socket.create_connection((self.host, self.port), timeout=self.timeout_seconds)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            is_open = self.scheme == "http"
            trust = {"verify": self.verify, "ca_path": self.ca_path}
            connection.sock = plain if is_open else secure(plain, self.host, **trust)  # type: ignore[arg-type]
        except BaseException:
            plain.close()
            raise
        return connection

    def _say(self, exc: Exception) -> str:
        if isinstance(exc, socket.timeout):  # an alias of TimeoutError from Python 3.10 only
            return f"no answer within {self.timeout_seconds:g} s"
        if isinstance(exc, (http.client.RemoteDisconnected, http.client.IncompleteRead)):
            return "the server closed the connection before it had answered"
        return explain(exc) if isinstance(exc, OSError) else f"the answer is not HTTP ({type(exc).__name__})"


def read_body(answer: http.client.HTTPResponse, *, method: str, most: int | None = None) -> Iterator[bytes]:
    """Yield the body of an answer in blocks.

    :raises TroubleError: it ends too early, or goes on beyond ``most``.
    """
    length, got = answer.getheader("Content-Length") or "", 0
    while block := answer.read(BLOCK):
        got += len(block)
        if most is not None and got > most:
            raise TroubleError(f"the answer is longer than {most} bytes")
        yield block
    if method != "HEAD" and answer.status not in (204, 304) and length.isdigit() and got < int(length):
        raise TroubleError(f"the server closed the connection after {got} of {length} bytes")


def _let_go(connection: http.client.HTTPConnection) -> None:
    """Close the connection once its answer has been read: half a request was sent on it."""
    line, connection.sock = connection.sock, None
    line.close()


def _hang_up(line: Any, late: threading.Event) -> None:
    late.set()
    with suppress(OSError):
        socket.socket.shutdown(line, socket.SHUT_RDWR)  # below TLS, which another thread is in
