# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove a password without sending it: SCRAM (RFC 5802, RFC 7677), the client's side. Private to this collection."""

from __future__ import annotations

import base64
import hashlib
import hmac


class ScramError(ValueError):
    """The server's words do not fit the exchange."""


class Client:
    """One exchange: :meth:`first`, the server's answer to :meth:`final`, its next one to :meth:`verify`."""

    def __init__(self, user: str, password: str, nonce: str, *, algorithm: str = "sha256") -> None:
        """Begin.

        :param nonce: printable and never used before
        :param password: as the mechanism wants it; MongoDB's SCRAM-SHA-1 wants a digest of it
        """
        self._password, self._nonce, self._algorithm = password.encode(), nonce, algorithm
        self._bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
        self._signature = b""

    def first(self) -> bytes:
        """Return the first message."""
        return f"n,,{self._bare}".encode()

    def final(self, told: bytes) -> bytes:
        """Return the message that answers the server's first one.

        :raises ScramError: it lacks something, or belongs to another exchange.
        """
        text = told.decode("ascii", "replace")
        fields = _fields(text)
        try:
            nonce, salt, rounds = fields["r"], base64.b64decode(fields["s"]), int(fields["i"])
        except (KeyError, ValueError) as exc:
            raise ScramError(f"the server's challenge is incomplete: {exc}") from exc
        # Few rounds would make it cheap to guess the password from what was overheard.
        if not nonce.startswith(self._nonce) or nonce == self._nonce or rounds < 4096:
            raise ScramError("the server's challenge is not for this exchange")
        without_proof = f"c=biws,r={nonce}"
        message = f"{self._bare},{text},{without_proof}".encode()
        salted = hashlib.pbkdf2_hmac(self._algorithm, self._password, salt, rounds)
        key = self._mac(salted, b"Client Key")
        proof = self._mac(hashlib.new(self._algorithm, key).digest(), message)
        self._signature = self._mac(self._mac(salted, b"Server Key"), message)
        mixed = bytes(one ^ other for one, other in zip(key, proof))
        return f"{without_proof},p={base64.b64encode(mixed).decode()}".encode()

    def verify(self, told: bytes) -> None:
        """Return where the server knows the password too.

        :raises ScramError: it does not: somebody else answers in its place.
        """
        said = _fields(told.decode("ascii", "replace")).get("v", "")
        if not hmac.compare_digest(said.encode(), base64.b64encode(self._signature)):
            raise ScramError("the server does not prove that it knows the password")

    def _mac(self, key: bytes, text: bytes) -> bytes:
        return hmac.new(key, text, self._algorithm).digest()


def _fields(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)
