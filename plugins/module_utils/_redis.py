# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a Redis server over its own protocol: all questions in one round trip, bounded in time and size. Private to this collection.

A request is an array of strings with their lengths, so no value can become a command (RESP2).
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

MOST_BYTES = 32 * 1024 * 1024
MOST_DEPTH = 8
# The server answered, but not to us: that says nothing about its health.
REFUSALS = ("NOAUTH", "WRONGPASS", "DENIED")


class RedisDownError(Exception):
    """Nobody takes the connection, or who takes it does not serve; the message is one line."""


class RedisRefusedError(Exception):
    """The server runs, but does not talk to this account, or is no Redis; the message is one line."""


class Refusal(NamedTuple):
    """What stands in place of an answer that is an error."""

    text: str


class Server(NamedTuple):
    """Where a server is, and how to log in."""

    host: str = "127.0.0.1"
    port: int = 6379
    socket_path: str | None = None
    user: str | None = None
    password: str | None = None
    database: int = 0
    tls: bool = False
    verify: bool = True
    ca_path: str | None = None

    @property
    def place(self) -> str:
        """How people call it."""
        return self.socket_path or f"{self.host}:{self.port}"


def encode(command: Sequence[str | int]) -> bytes:
    """Return one request."""
    parts = [str(part).encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def decode(data: bytes, start: int = 0, depth: int = 0) -> tuple[Any, int] | None:
    """Return the answer at ``start`` and where the next one begins, or None while it is not complete.

    :raises RedisRefusedError: this is another protocol.
    """
    end = data.find(b"\r\n", start)
    if end < 0:
        return None
    kind, line, after = data[start : start + 1], data[start + 1 : end], end + 2
    if kind in (b"+", b"-"):
        text = line.decode(errors="replace")
        return (text if kind == b"+" else Refusal(text)), after
    if kind not in (b":", b"$", b"*") or not re.fullmatch(rb"-?\d{1,19}", line) or depth > MOST_DEPTH:
        raise RedisRefusedError("what answers there is not Redis")
    size = int(line)
    if kind == b":" or size < 0:
        return (size if kind == b":" else None), after
    return _items(data, after, size, depth) if kind == b"*" else _text(data, after, size)


def _text(data: bytes, start: int, size: int) -> tuple[str, int] | None:
    end = start + size
    return (data[start:end].decode(errors="replace"), end + 2) if len(data) >= end + 2 else None


def _items(data: bytes, start: int, count: int, depth: int) -> tuple[list[Any], int] | None:
    items = []
    for _index in range(count):
        found = decode(data, start, depth + 1)
        if found is None:
            return None
        items.append(found[0])
        start = found[1]
    return items, start


def ask(server: Server, commands: Sequence[Sequence[str | int]], *, timeout_seconds: float) -> list[Any]:
    """Return the answer to each command; one that the server refuses is a :class:`Refusal`.

    :param timeout_seconds: for all of it, from the look-up of the name to the last answer
    :raises RedisDownError: no connection, no answer in time, or no room for another client.
    :raises RedisRefusedError: the login was refused, or this is no Redis.
    """
    deadline = time.monotonic() + timeout_seconds
    first: list[Sequence[str | int]] = []
    if server.password is not None:
        first.append(("AUTH", *([server.user] if server.user else []), server.password))
    if server.database:
        first.append(("SELECT", server.database))
    request = b"".join(encode(command) for command in (*first, *commands))
    try:
        with connect(server, timeout_seconds) as connection:
            connection.sendall(request)
            answers = _receive(connection, len(first) + len(commands), deadline)
    except (BrokenPipeError, ConnectionResetError) as exc:
        raise RedisDownError(_greeting(server, deadline) or str(exc.strerror)) from exc
    except socket.timeout:  # an alias of TimeoutError from Python 3.10 only
        raise RedisDownError(f"no answer within {timeout_seconds:g} s") from None
    except OSError as exc:
        if server.tls:
            from ansible_collections.runbook.ops.plugins.module_utils._http import explain  # noqa: PLC0415  # TLS is rare

            raise RedisDownError(explain(exc)) from exc
        raise RedisDownError(str(exc.strerror or exc)) from exc
    for index, answer in enumerate(answers):
        if isinstance(answer, Refusal) and (answer.text.startswith(REFUSALS) or index < len(first)):
            # What is no Redis, or knows no AUTH, may repeat what it was sent.
            said = answer.text.replace(server.password, "***") if server.password else answer.text
            raise RedisRefusedError(one_line(said))
    return answers[len(first) :]


def one_line(text: str) -> str:
    """Return an error of Redis without the advice that follows its first sentence."""
    return text.split(". ", 1)[0].split("\n", 1)[0].strip().rstrip(".")[:160]


def parse_info(text: str) -> dict[str, str]:
    """Return what INFO says, by key."""
    pairs = (line.partition(":") for line in text.splitlines() if line and not line.startswith("#"))
    return {key: value.strip() for key, _colon, value in pairs}


def number(info: dict[str, str], key: str) -> int | None:
    """Return a whole number out of INFO; None where this server does not tell it."""
    value = info.get(key, "")
    return int(value) if re.fullmatch(r"-?\d{1,19}", value) else None


def connect(server: Server, timeout_seconds: float) -> Any:
    """Return a connection to ``server``, not logged in.

    :raises OSError: there is none.
    """
    if server.socket_path:
        local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        local.settimeout(timeout_seconds)
        try:
            local.connect(server.socket_path)
        except OSError:
            local.close()
            raise
        return local
    plain = socket.create_connection((server.host, server.port), timeout=timeout_seconds)
    if not server.tls:
        return plain
    from ansible_collections.runbook.ops.plugins.module_utils._http import secure  # noqa: PLC0415  # TLS is rare

    try:
        return secure(plain, server.host, verify=server.verify, ca_path=server.ca_path)
    except OSError:
        plain.close()
        raise


def _greeting(server: Server, deadline: float) -> str | None:
    """Return what the server says unasked: that it has no room for another client, before it hangs up on who asks."""
    try:
        with connect(server, max(0.1, min(0.5, deadline - time.monotonic()))) as connection:
            found = decode(connection.recv(1000))
    except (OSError, RedisRefusedError):
        return None
    return one_line(found[0].text) if found and isinstance(found[0], Refusal) else None


def _receive(connection: Any, count: int, deadline: float) -> list[Any]:
    data = b""
    answers: list[Any] = []
    offset = 0
    while len(answers) < count:
        found = decode(data, offset)
        if found is not None:
            answers.append(found[0])
            offset = found[1]
            continue
        left = deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout
        connection.settimeout(left)
        chunk = connection.recv(1 << 20)
        if not chunk:
            said = [one_line(answer.text) for answer in answers if isinstance(answer, Refusal)]
            if said and said[0].startswith(REFUSALS):
                raise RedisRefusedError(said[0])
            raise RedisDownError(said[0] if said else "it closed the connection before it had answered")
        data = data[offset:] + chunk
        offset = 0
        if len(data) > MOST_BYTES:
            raise RedisRefusedError(f"an answer of more than {MOST_BYTES} bytes")
    return answers
