# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP request over sockets: bounded in time and size, no redirects, cheap to load. Private to this collection."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

URL = re.compile(r'(https?)://(\[[0-9A-Fa-f:.]+\]|[^\s/:?#@\[\]]+)(?::(\d{1,5}))?([/?][!-"$-~]*)?(?:#.*)?', re.ASCII)
HEAD_LIMIT_BYTES = 64 * 1024


class HttpError(Exception):
    """There was no answer that could be read; the message is one line."""


class Answer(NamedTuple):
    """What the server said."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes
    truncated: bool  # whether the body went on beyond the limit
    seconds: float  # until the last byte that was read


def split_url(url: str) -> tuple[str, str, int, str]:
    """Return scheme, host, port and target of ``url``.

    :raises ValueError: it is no URL of http or https, or holds a name and password.
    """
    found = URL.fullmatch(url)
    if not found or not 0 < int(found[3] or 1) < 65536:
        raise ValueError(
            f"{url!r} is not a URL: write http://host/path or https://host:port/path, without an account in it"
        )
    target = found[4] or "/"
    port = int(found[3] or (443 if found[1] == "https" else 80))
    return found[1], found[2].strip("[]"), port, target if target.startswith("/") else f"/{target}"


def ask(
    url: str,
    *,
    timeout_seconds: float,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    address: str | None = None,
    body_limit_bytes: int = 1 << 20,
    verify: bool = True,
    ca_path: str | None = None,
) -> Answer:
    """Return the answer to one request.

    :param timeout_seconds: for all of it, from the look-up of the name to the last byte
    :param address: connect to this address or name instead of the URL's host, which is still what is asked for
    :param verify: check the server's certificate against the system's store, or against the file ``ca_path``
    :raises HttpError: no connection, no trust, no time, or not HTTP.
    """
    scheme, host, port, target = split_url(url)
    deadline = time.monotonic() + timeout_seconds
    began = time.monotonic()
    default = 443 if scheme == "https" else 80
    named = f"[{host}]" if ":" in host else host
    lines = {
        "Host": named if port == default else f"{named}:{port}",
        "User-Agent": "runbook.ops",
        "Accept": "*/*",
        "Connection": "close",
        **({"Content-Length": str(len(body))} if body or method == "POST" else {}),
        **(headers or {}),
    }
    if any(sign in f"{key}{value}" for key, value in lines.items() for sign in "\r\n"):
        raise HttpError("a header holds a line break")
    request = "".join(
        [f"{method} {target} HTTP/1.1\r\n", *(f"{key}: {value}\r\n" for key, value in lines.items()), "\r\n"]
    )
    try:
        with socket.create_connection((address or host, port), timeout=timeout_seconds) as plain:
            plain.settimeout(max(0.001, deadline - time.monotonic()))
            with secure(plain, host, verify=verify, ca_path=ca_path) if scheme == "https" else plain as connection:
                connection.sendall(request.encode("latin-1") + body)
                status, head, answer, truncated = _read(_Stream(connection, deadline), method, body_limit_bytes)
    except socket.timeout:  # an alias of TimeoutError from Python 3.10 only
        raise HttpError(f"no answer within {timeout_seconds:g} s") from None
    except OSError as exc:
        raise HttpError(explain(exc)) from exc
    return Answer(status, head, answer, truncated, round(time.monotonic() - began, 4))


def secure(plain: socket.socket, name: str, *, verify: bool, ca_path: str | None) -> Any:
    """Return the connection with TLS on it."""
    import ssl  # noqa: PLC0415  # what plain HTTP need not pay for

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif ca_path:
        context.load_verify_locations(cafile=ca_path)
    else:
        trust_system(context, ssl.get_default_verify_paths())
    return context.wrap_socket(plain, server_hostname=name)


def trust_system(context: Any, store: Any) -> None:
    """Trust what the system trusts: from its directory of hashed files where it has one, which opens the one needed.

    The single file with all authorities takes 50 ms to read, ten times the handshake.
    """
    try:
        hashed = not os.environ.get(store.openssl_cafile_env) and any(
            name.endswith(".0")
            for name in os.listdir(store.capath or store.openssl_capath)  # noqa: PTH208  # pathlib would be an import more
        )
    except OSError:
        hashed = False
    if hashed:
        context.load_verify_locations(capath=store.capath or store.openssl_capath)
    else:
        context.set_default_verify_paths()


def explain(exc: OSError) -> str:
    """Return one line about why there is no connection."""
    reason = getattr(exc, "verify_message", None)
    if reason:
        return f"the certificate does not verify: {reason}"
    return str(getattr(exc, "reason", None) or exc.strerror or exc or type(exc).__name__)


class _Stream:
    """What the server sends, by line or by number of bytes, until the deadline."""

    def __init__(self, connection: Any, deadline: float) -> None:
        self.connection, self.deadline, self.buffer = connection, deadline, b""

    def more(self) -> bool:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout
        self.connection.settimeout(left)
        chunk = self.connection.recv(65536)
        self.buffer += chunk
        return bool(chunk)

    def line(self) -> bytes:
        while b"\n" not in self.buffer:
            if len(self.buffer) > HEAD_LIMIT_BYTES:
                raise HttpError("a header line is too long: this is not HTTP")
            if not self.more():
                raise HttpError("the server closed the connection before it had answered")
        line, _newline, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def take(self, count: int) -> bytes:
        while len(self.buffer) < count and self.more():
            pass
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken


def _read(stream: _Stream, method: str, limit: int) -> tuple[int, dict[str, str], bytes, bool]:
    status = 100
    head: dict[str, str] = {}
    while 100 <= status < 200:  # 100 Continue and 103 Early Hints come before the answer
        first = re.fullmatch(rb"HTTP/\d(?:\.\d)? (\d{3})(?: .*)?", stream.line())
        if not first:
            raise HttpError("the answer is not HTTP")
        status, head, size = int(first[1]), {}, 0
        while line := stream.line():
            size += len(line)
            if size > HEAD_LIMIT_BYTES:
                raise HttpError(f"the headers are longer than {HEAD_LIMIT_BYTES} bytes")
            key, _colon, value = line.decode("latin-1").partition(":")
            head[key.strip().lower()] = value.strip()
    if method == "HEAD" or status in (204, 304):
        return status, head, b"", False
    if "chunked" in head.get("transfer-encoding", "").lower():
        body = _chunks(stream, limit)
    elif head.get("content-length", "").isdigit():
        wanted = int(head["content-length"])
        body = stream.take(min(wanted, limit + 1))
        if len(body) < min(wanted, limit + 1):
            raise HttpError(f"the server closed the connection after {len(body)} of {wanted} bytes")
    else:
        body = stream.take(limit + 1)
    return status, head, body[:limit], len(body) > limit


def _chunks(stream: _Stream, limit: int) -> bytes:
    body = b""
    while len(body) <= limit:
        size_text = stream.line().partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size_text):
            raise HttpError("a chunk of the answer has no size")
        size = int(size_text, 16)
        if size == 0:
            break
        taken = stream.take(min(size, limit + 1 - len(body)))
        body += taken
        if len(body) > limit:
            break
        if len(taken) < size or stream.line():
            raise HttpError("the server closed the connection within a chunk")
    return body
