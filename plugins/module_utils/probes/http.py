# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A URL that must answer rightly and in time. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError, ask, split_url
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits

SECTION = "Endpoints"
OPTIONS = {
    "url": Option("str", "what to ask; redirects are not followed", required=True),
    "status": Option("integers", "statuses that are right", [200]),
    "json": Option("dict", "keys and values that the JSON answer must hold, at any depth"),
    "contains": Option("str", "text that the answer must hold"),
    "seconds": Option("limits", "time until the whole answer is there", limits(5)),
    "address": Option("str", "address or name to connect to instead of the URL's host"),
    "method": Option("str", "method of the request", "GET", choices=("GET", "HEAD", "POST")),
    "headers": Option("dict", "headers to send; for what is secret there is token", {}),
    "token": Option("secret", "name, among the secrets, of a token to send as Authorization: Bearer"),
    "body_limit_bytes": Option("int", "how much of an answer is read", 1 << 20),
    "verify": Option("bool", "check the server's certificate", True),
    "ca_path": Option("str", "file of certificates to trust instead of the system's store"),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``status``, ``seconds``, and what is wrong with the body; ``error`` where there was no answer."""
    try:
        split_url(options["url"])
    except ValueError as exc:
        raise ProbeError(str(exc), "correct url") from exc
    keys = ("timeout_seconds", "method", "address", "body_limit_bytes", "verify", "ca_path")
    authorization = {"Authorization": f"Bearer {options['token']}"} if options["token"] else {}
    empty = {"Content-Length": "0"} if options["method"] == "POST" else {}  # proxies refuse a POST that does not say
    headers = {**options["headers"], **authorization, **empty}
    try:
        answer = ask(options["url"], headers=headers, **{key: options[key] for key in keys})
    except HttpError as exc:
        return {"error": str(exc), "status": None, "seconds": None, "wrong": None, "location": None}
    return {
        "error": None,
        "status": answer.status,
        "seconds": answer.seconds,
        "wrong": wrong_body(answer.body, options["json"], options["contains"], truncated=answer.truncated),
        "location": answer.headers.get("location"),
    }


def wrong_body(
    body: bytes, wanted: Mapping[str, Any] | None, text: str | None, *, truncated: bool = False
) -> str | None:
    """Return in a few words how ``body`` differs from what is wanted, None where it does not."""
    if text is not None and text.encode() not in body:
        return f"the answer does not hold {text!r}"
    if wanted is None:
        return None
    if truncated:
        return f"the answer is longer than {len(body)} bytes: raise body_limit_bytes"
    import json  # noqa: PLC0415  # most endpoints are asked for their status only

    try:
        return difference(json.loads(body), wanted)
    except ValueError:
        return "the answer is not JSON"


def difference(found: Any, wanted: Any, path: str = "") -> str | None:
    """Return the first place where ``found`` does not hold ``wanted``; what is wanted of a mapping is a part of it."""
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return f"{path or 'the answer'} is not a mapping"
        for key, value in wanted.items():
            place = f"{path}.{key}" if path else str(key)
            if key not in found:
                return f"{place} is missing"
            inner = difference(found[key], value, place)
            if inner:
                return inner
        return None
    same = found == wanted and isinstance(found, bool) == isinstance(wanted, bool)
    return None if same else f"{path or 'the answer'} is {str(found)[:80]!r}, not {wanted!r}"


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check."""
    status, limit = "critical", None
    if measured["error"]:
        detail = measured["error"]
    elif measured["status"] not in options["status"]:
        to = f" to {measured['location']}" if measured["location"] else ""
        detail = f"HTTP {measured['status']}{to}, right is {', '.join(map(str, options['status']))}"
    elif measured["wrong"]:
        detail = f"HTTP {measured['status']}, but {measured['wrong']}"
    else:
        status, limit = judge_high(measured["seconds"], **options["seconds"])
        detail = f"HTTP {measured['status']} in {measured['seconds'] * 1000:.0f} ms"
    return [
        make_check(
            f"http:{options['name'] or options['url']}",
            name=options["name"] or options["url"],
            section=options["section"],
            status=status,
            value=measured["seconds"],
            unit="s",
            limit=limit,
            detail=detail,
            remedy=f"ask it by hand: curl -fsSv --max-time {options['timeout_seconds']:g} {options['url']}",
        )
    ]
