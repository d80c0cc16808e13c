# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a running PM2 daemon over its own socket: a few milliseconds, and never a new daemon. Private to this collection.

A message of the AMP protocol is one byte (version << 4 | number of arguments), then for each argument four bytes of
length and its data: ``j:`` and JSON, or ``s:`` and text. Request and answer carry the same id as their last argument.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

VERSION = 1
REQUEST_ID = "s:runbook:1"
MOST_BYTES = 64 * 1024 * 1024  # an application's account owns the other end: an endless answer must not fill the memory


class Pm2NotRunningError(Exception):
    """No daemon listens at that socket."""


class Pm2DeniedError(Exception):
    """This account may not open that socket."""


class Pm2SocketError(Exception):
    """The daemon answered late, or not as expected."""


def encode(arguments: list[bytes]) -> bytes:
    """Return one message."""
    parts = [len(argument).to_bytes(4, "big") + argument for argument in arguments]
    return bytes([VERSION << 4 | len(arguments)]) + b"".join(parts)


def decode(data: bytes) -> list[bytes] | None:
    """Return the arguments of the message that ``data`` begins with, or None while it is not complete.

    :raises Pm2SocketError: it is another protocol, or a longer message than is taken.
    """
    if not data:
        return None
    if data[0] >> 4 != VERSION:
        raise Pm2SocketError(f"PM2's socket speaks an unknown protocol (first byte {data[0]:#04x})")
    arguments, offset = [], 1
    for _index in range(data[0] & 0x0F):
        if len(data) < offset + 4:
            return None
        size = int.from_bytes(data[offset : offset + 4], "big")
        if size > MOST_BYTES:
            raise Pm2SocketError(f"PM2 announced an answer of {size} bytes, at most {MOST_BYTES} are taken")
        offset += 4
        if len(data) < offset + size:
            return None
        arguments.append(data[offset : offset + size])
        offset += size
    return arguments


def request(method: str, argument: Any) -> bytes:
    """Return the message that calls ``method``."""
    body = json.dumps({"type": "call", "method": method, "args": [argument]}, separators=(",", ":")).encode()
    return encode([b"j:" + body, REQUEST_ID.encode()])


def reply(arguments: list[bytes]) -> Any:
    """Return what a call returned.

    :raises Pm2SocketError: the daemon refused the call, or this is no answer to it.
    """
    if len(arguments) != 2 or arguments[1].decode(errors="replace") != REQUEST_ID or arguments[0][:2] != b"j:":
        raise Pm2SocketError("PM2's socket answered something else than was asked")
    try:
        answer = json.loads(arguments[0][2:])
    except ValueError as exc:
        raise Pm2SocketError(f"PM2's socket answered what is not JSON ({exc})") from exc
    if not isinstance(answer, dict) or not answer.get("args"):
        said = answer.get("error") if isinstance(answer, dict) else answer
        raise Pm2SocketError(f"PM2 refused the call: {str(said)[:200]}")
    return answer["args"][0]


def call(path: str, method: str, argument: Any, *, timeout_seconds: float = 10.0) -> Any:
    """Return what ``method`` of the daemon that listens at ``path`` returns.

    :raises Pm2NotRunningError: there is no such socket, or nobody listens at it.
    :raises Pm2DeniedError: this account may not open it.
    :raises Pm2SocketError: the daemon answered late, or not as expected.
    """
    deadline = time.monotonic() + timeout_seconds
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_seconds)
        try:
            connection.connect(path)
        except PermissionError as exc:
            raise Pm2DeniedError(path) from exc
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as exc:
            raise Pm2NotRunningError(path) from exc
        except OSError as exc:
            raise Pm2SocketError(f"PM2's socket {path} cannot be opened: {exc.strerror or exc}") from exc
        try:
            connection.sendall(request(method, argument))
            return reply(_receive(connection, deadline))
        except OSError as exc:
            raise Pm2SocketError(f"PM2 did not answer {method} within {timeout_seconds:g} s ({exc})") from exc


def _receive(connection: socket.socket, deadline: float) -> list[bytes]:
    data = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout("time is up")
        connection.settimeout(left)
        chunk = connection.recv(1 << 20)
        if not chunk:
            raise Pm2SocketError("PM2 closed its socket in the middle of an answer")
        data += chunk
        if len(data) > MOST_BYTES:
            raise Pm2SocketError(f"PM2 answered with more than {MOST_BYTES} bytes")
        arguments = decode(bytes(data))
        if arguments is not None:
            return arguments
