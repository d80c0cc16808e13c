# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles of PostgreSQL: what is kept of a password, the SQL, and whether a server is there for good. Nothing here runs anything. Private to this collection."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError, quote_identifier, quote_literal

ROUNDS = 4096
VERIFIER = re.compile(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)")


def verifier(password: str, salt: bytes, *, rounds: int = ROUNDS) -> str:
    """Return what PostgreSQL keeps of ``password``, so that itself never reaches the server or its log."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    stored = hashlib.sha256(_mac(salted, b"Client Key")).digest()
    words = [base64.b64encode(part).decode() for part in (salt, stored, _mac(salted, b"Server Key"))]
    return f"SCRAM-SHA-256${rounds}:{words[0]}${words[1]}:{words[2]}"


def fits(password: str, kept: str | None) -> bool:
    """Return whether ``kept`` is what the server would keep of ``password``."""
    found = VERIFIER.fullmatch(kept or "")
    if not found:
        return False
    try:
        salt = base64.b64decode(found[2], validate=True)
    except binascii.Error:
        return False
    return hmac.compare_digest(verifier(password, salt, rounds=int(found[1])), kept or "")


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, "sha256").digest()


def asking(name: str) -> str:
    """Return the SQL that tells of a role, as one JSON document; null where there is none."""
    told = "json_build_object('login', rolcanlogin, 'kept', rolpassword)"
    return f"SELECT coalesce((SELECT {told} FROM pg_authid WHERE rolname = {quote_literal(name)}), 'null'::json);"  # noqa: S608  # quoted


# The official image starts a server for its own first steps, ends it, and starts the one that stays. The first hears on no address, by
# its command line; one that is meant to be so has that from its configuration.
STAYS = """
SELECT to_json(NOT EXISTS (SELECT FROM pg_settings WHERE name = 'listen_addresses' AND setting = '' AND source = 'command line'));
"""


def await_server(ask: Callable[[str], Any], seconds: float, *, sleep: Callable[[float], Any] = time.sleep) -> None:
    """Wait until the server answers, and is the one that stays.

    :param ask: returns the one JSON document that an SQL statement prints
    :raises PgError: it did not within ``seconds``.
    """
    end = time.monotonic() + seconds
    while True:
        trouble = PgError(
            f"PostgreSQL was still busy with its first start after {seconds:g} s: see the log of its container"
        )
        try:
            if ask(STAYS):
                return
        except PgError as exc:
            trouble = exc
        if time.monotonic() >= end:
            raise trouble
        sleep(1)


def plan(name: str, password: str | None, found: Mapping[str, Any] | None, salt: bytes) -> tuple[str, str] | None:
    """Return what to do in a word, and the SQL that does it; None where there is nothing to do.

    :param found: what the server told, see :func:`asking`
    """
    wanted = f" PASSWORD {quote_literal(verifier(password, salt))}" if password else ""
    if found is None:
        return "create", f"CREATE ROLE {quote_identifier(name)} LOGIN{wanted};"
    if password and not fits(password, found["kept"]):
        return "set the password", f"ALTER ROLE {quote_identifier(name)} LOGIN{wanted};"
    if not found["login"]:
        return "let it log in", f"ALTER ROLE {quote_identifier(name)} LOGIN;"
    return None
