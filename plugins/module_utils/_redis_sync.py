# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a Redis server for a dump of all it holds, as a replica does, and hand it on piece by piece. Private to this collection.

The server writes it from a moment's snapshot while it goes on serving. Nothing is written where it runs, and no program is
needed there, nor a password on a command line.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._redis import (
    REFUSALS,
    RedisDownError,
    RedisRefusedError,
    Server,
    connect,
    encode,
    one_line,
)

CHUNK = 1 << 20
MARK = 40  # bytes that end a dump whose size was not known when it began
MOST_LINE = 4096
SILENCE_SECONDS = 60.0  # a server that prepares a dump says so at least every ten


def fetch_rdb(server: Server, *, timeout_seconds: float) -> Iterator[bytes]:
    """Yield the dump in pieces; when it ends without an error all of it has been there.

    :raises RedisDownError: no connection, or it broke, or it took too long.
    :raises RedisRefusedError: the server gives no dump to this account.
    """
    deadline = time.monotonic() + timeout_seconds
    try:
        with connect(server, min(timeout_seconds, SILENCE_SECONDS)) as connection:
            stream = _Stream(connection, deadline)
            _introduce(stream, server)
            yield from _payload(stream, stream.line())
    except socket.timeout:  # an alias of TimeoutError from Python 3.10 only
        raise RedisDownError(
            f"no answer for {min(timeout_seconds, SILENCE_SECONDS):g} s while it sent its dump"
        ) from None
    except OSError as exc:
        raise RedisDownError(f"the connection broke while it sent its dump: {exc.strerror or exc}") from exc


class _Stream:
    """What comes in over one connection."""

    def __init__(self, connection: Any, deadline: float) -> None:
        self.connection, self._deadline, self._data = connection, deadline, b""

    def _receive(self) -> bytes:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise RedisDownError(
                "the dump took longer than allowed: raise timeout_seconds, or look what the server does"
            )
        self.connection.settimeout(min(left, SILENCE_SECONDS))
        data: bytes = self.connection.recv(CHUNK)
        if not data:
            raise RedisDownError("it closed the connection in the middle of its dump: its log says why")
        return data

    def line(self) -> str:
        """Return the next line that says something; a server that is not ready yet sends empty ones."""
        while True:
            line, end, rest = self._data.partition(b"\n")
            if end:
                self._data = rest
                if line.strip():
                    return line.decode("utf-8", "replace").strip()
            elif len(self._data) > MOST_LINE:
                raise RedisRefusedError("what answers there is not Redis")
            else:
                self._data += self._receive()

    def pieces(self) -> Iterator[bytes]:
        if self._data:
            yield self._data
        while True:
            yield self._receive()


def _introduce(stream: _Stream, server: Server) -> None:
    """Log in, and ask for the dump.

    :raises RedisRefusedError: the login was refused.
    """
    if server.password is not None:
        stream.connection.sendall(encode(("AUTH", *([server.user] if server.user else []), server.password)))
        answer = stream.line()
        if not answer.startswith("+"):
            raise RedisRefusedError(one_line(answer.lstrip("-").replace(server.password, "***")))
    # Old servers know neither of the two, and say so: that does no harm.
    for option, value in (("capa", "eof"), ("rdb-only", "1")):
        stream.connection.sendall(encode(("REPLCONF", option, value)))
        answer = stream.line()
        if answer.startswith(tuple(f"-{word}" for word in (*REFUSALS, "NOPERM"))):
            raise RedisRefusedError(one_line(answer.lstrip("-")))
    stream.connection.sendall(encode(("SYNC",)))


def _payload(stream: _Stream, announced: str) -> Iterator[bytes]:
    if announced.startswith("-"):
        raise RedisRefusedError(f"it gives no dump: {one_line(announced[1:])}")
    if re.fullmatch(r"\$\d{1,19}", announced):
        return _sized(stream, int(announced[1:]))
    if re.fullmatch(rf"\$EOF:\w{{{MARK}}}", announced):
        return _marked(stream, announced[5:].encode())
    raise RedisRefusedError("what answers there is not Redis")


def _sized(stream: _Stream, left: int) -> Iterator[bytes]:
    for data in stream.pieces():
        if data[:left]:
            yield data[:left]
        left -= len(data)
        if left <= 0:
            return


def _marked(stream: _Stream, mark: bytes) -> Iterator[bytes]:
    """Yield all before the mark, which is as good as random and the last thing that is sent."""
    held = b""
    for data in stream.pieces():
        held += data
        if held.endswith(mark):
            if held[:-MARK]:
                yield held[:-MARK]
            return
        if len(held) > MARK:
            yield held[:-MARK]
            held = held[-MARK:]
