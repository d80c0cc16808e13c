# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles of PostgreSQL: what is kept of a password, and the SQL. Nothing here runs anything. Private to this collection."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_identifier, quote_literal

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
