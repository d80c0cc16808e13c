# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an interface for a JSON document, and say in one line why there is none. Private to this collection."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError, ask, split_url
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError

DOOR_OPTIONS = {
    "token": Option("secret", "name, among the secrets, of a token to send as Authorization: Bearer"),
    "user": Option("str", "account to send with password as Authorization: Basic"),
    "password": Option("secret", "name of its password among the secrets"),
    "address": Option("str", "address or name to connect to instead of the URL's host"),
    "verify": Option("bool", "check the server's certificate", True),
    "ca_path": Option("str", "file of certificates to trust instead of the system's store"),
}
MOST_BYTES = 16 * 1024 * 1024


class NoAnswerError(Exception):
    """The server is not there, or says that it is in trouble; the message is one line."""


def authorization(options: dict[str, Any]) -> dict[str, str]:
    """Return the header that logs in, where there is something to log in with."""
    if options["token"]:
        return {"Authorization": f"Bearer {options['token']}"}
    if options["user"]:
        import base64  # noqa: PLC0415  # few interfaces want it

        account = base64.b64encode(f"{options['user']}:{options['password'] or ''}".encode()).decode()
        return {"Authorization": f"Basic {account}"}
    return {}


def get(url: str, options: dict[str, Any], timeout_seconds: float, *, login: bool = True) -> tuple[int, bytes]:
    """Return status and body of the answer to a GET.

    :raises ProbeError: ``url`` is none, or the answer is too long.
    :raises NoAnswerError: there is no answer.
    """
    try:
        split_url(url)
    except ValueError as exc:
        raise ProbeError(str(exc), "correct url") from exc
    door = {key: options[key] for key in ("address", "verify", "ca_path")}
    headers = {"Accept": "application/json", **(authorization(options) if login else {})}
    try:
        answer = ask(url, timeout_seconds=timeout_seconds, headers=headers, body_limit_bytes=MOST_BYTES, **door)
    except HttpError as exc:
        raise NoAnswerError(str(exc)) from exc
    if answer.truncated:
        raise ProbeError(f"the answer is longer than {MOST_BYTES} bytes")
    return answer.status, answer.body


def get_json(url: str, options: dict[str, Any], timeout_seconds: float) -> Any:
    """Return the document at ``url``.

    :raises ProbeError: the server wants another login, has no such document, or it is no JSON.
    :raises NoAnswerError: there is no answer, or one of 500 and above.
    """
    status, body = get(url, options, timeout_seconds)
    if status >= 500:
        raise NoAnswerError(f"HTTP {status}")
    if status in (401, 403):
        raise ProbeError(f"HTTP {status}: it does not tell this account", "correct token, or user and password")
    if status != 200:
        raise ProbeError(f"HTTP {status}, right is 200", "correct url: redirects are not followed")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise ProbeError("the answer is not JSON", "correct url") from exc
