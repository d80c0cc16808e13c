# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a MongoDB server for its state (OP_MSG, MongoDB 3.6 and later). Private to this collection.

mongosh would have to be installed, needs a second to start, and takes its password as an argument.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
import struct
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._bson import LONGEST_BYTES, BsonError, decode, encode
from ansible_collections.runbook.ops.plugins.module_utils._scram import Client, ScramError

OP_MSG = 2013
MECHANISMS = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}  # the better one first


class MongoDownError(Exception):
    """The server does not serve; the text is one line that says why."""


class MongoRefusedError(Exception):
    """The server answered, but not to us, or not to this; ``code`` is its name for why."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Mongo:
    """One connection. Everything is to be done within ``timeout_seconds`` from its beginning."""

    def __init__(self, host: str, port: int, *, timeout_seconds: float) -> None:
        """Connect.

        :raises MongoDownError: nobody takes the connection.
        """
        self.place = f"{host}:{port}"
        self._deadline = time.monotonic() + timeout_seconds
        self._number = 0
        try:
            self._socket = socket.create_connection((host, port), timeout=timeout_seconds)
        except OSError as exc:
            raise MongoDownError(f"{self.place}: {exc.strerror or exc}") from exc

    def __enter__(self) -> Mongo:
        return self

    def __exit__(self, *_what: object) -> None:
        self._socket.close()

    def command(self, database: str, name: str, value: Any = 1, **more: Any) -> dict[str, Any]:
        """Return the answer to a command.

        :raises MongoRefusedError: the server refuses it.
        :raises MongoDownError: there is no answer, or no sense in it.
        """
        document = {name: value, **more, "$db": database}
        self._number += 1
        body = struct.pack("<iB", 0, 0) + encode(document)
        message = struct.pack("<iiii", len(body) + 16, self._number, 0, OP_MSG) + body
        try:
            self._wait()
            self._socket.sendall(message)
            length, _number, _answers, kind = struct.unpack("<iiii", self._take(16))
            if not 21 <= length <= LONGEST_BYTES or kind != OP_MSG:
                raise MongoDownError(f"{self.place} does not speak MongoDB's protocol")
            answer = decode(self._take(length - 16)[5:])
        except (OSError, BsonError, struct.error) as exc:
            raise MongoDownError(f"{self.place}: {getattr(exc, 'strerror', None) or exc}") from exc
        if answer.get("ok") != 1:
            code = str(answer.get("codeName", ""))
            raise MongoRefusedError(f"{answer.get('errmsg', 'refused')} ({code or name})".splitlines()[0], code=code)
        return answer

    def log_in(self, user: str, password: str, database: str, known: list[str]) -> None:
        """Log in by the best mechanism among ``known``, the ones that the server has for this user.

        :raises MongoRefusedError: the user or the password is wrong.
        """
        mechanism = next((one for one in MECHANISMS if one in known), "SCRAM-SHA-256")
        if mechanism == "SCRAM-SHA-1":  # MongoDB's own digest, of before SCRAM
            password = hashlib.md5(f"{user}:mongo:{password}".encode()).hexdigest()  # noqa: S324  # as the protocol has it
        client = Client(user, password, secrets.token_urlsafe(24), algorithm=MECHANISMS[mechanism])
        try:
            said = self.command(
                database, "saslStart", mechanism=mechanism, payload=client.first(), options={"skipEmptyExchange": True}
            )
            more = {"conversationId": said.get("conversationId", 1)}
            said = self.command(database, "saslContinue", payload=client.final(bytes(said["payload"])), **more)
            client.verify(bytes(said["payload"]))
            if not said.get("done"):
                self.command(database, "saslContinue", payload=b"", **more)
        except (ScramError, KeyError, TypeError) as exc:
            raise MongoRefusedError(f"the server's login does not fit: {exc}", code="AuthenticationFailed") from exc

    def _wait(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise socket.timeout("no answer in time")
        self._socket.settimeout(left)

    def _take(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:
            self._wait()
            chunk = self._socket.recv(min(65536, count - len(taken)))
            if not chunk:
                raise MongoDownError(f"{self.place} closed the connection before it had answered")
            taken += chunk
        return taken
