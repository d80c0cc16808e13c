# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release answers on the port of its slot, and what is wrong with it. Private to this collection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils._http import Answer, HttpError, ask, split_url
from ansible_collections.runbook.ops.plugins.module_utils.probes.http import wrong_body

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._release import Release

LEAST_COMMIT = 7  # a shorter one names several


class Request(NamedTuple):
    """One request to an instance, and what is right."""

    what: str  # health | smoke
    url: str
    headers: Mapping[str, str]
    status: int = 200
    json: Mapping[str, Any] | None = None
    timeout_seconds: float = 10


HERE = "127.0.0.1"


def requests_of(wishes: Any, port: int, host: str = HERE) -> list[Request]:
    """Return what the instance on ``port`` is asked: never the proxy, behind which the old one answers."""
    found = []
    if wishes.health:
        found.append(
            Request(
                "health",
                instance_url(wishes.health["url"], port, host),
                _as_from_proxy(wishes.health["url"] if "{port}" not in wishes.health["url"] else None),
                wishes.health.get("status") or 200,
                wishes.health.get("json"),
                wishes.health.get("timeout_seconds") or 10,
            )
        )
    for one in wishes.smoke:
        url = f"http://{host}:{port}{one['request']}"
        found.append(Request("smoke", url, _as_from_proxy(wishes.url), one.get("status") or 200, one.get("json")))
    return found


def instance_url(url: str, port: int, host: str = HERE) -> str:
    """Return ``url`` as it is asked of the instance on ``port``, whatever host and port it names."""
    parts = urlsplit(url.replace("{port}", str(port)))
    scheme = parts.scheme if "{port}" in url else "http"
    query = f"?{parts.query}" if parts.query else ""
    return f"{scheme}://{host}:{port}{parts.path or '/'}{query}"


def wrong_answer(request: Request, *, most_seconds: float) -> str | None:
    """Return what is wrong with the answer to ``request``, in a few words; None where it is right."""
    path = urlsplit(request.url).path
    try:
        answer = _asked(request.url, request.headers, min(request.timeout_seconds, most_seconds))
    except HttpError as exc:
        return f"{request.what} {path}: {exc}"
    if answer.status != request.status:
        return f"{request.what} {path}: HTTP {answer.status}, right is {request.status}"
    wrong = wrong_body(answer.body, request.json, None, truncated=answer.truncated)
    return f"{request.what} {path}: {wrong}" if wrong else None


def version_wanted(version: Mapping[str, Any] | None, release: Release) -> str | None:
    """Return what has to stand where the release tells its version; None where nobody knows."""
    if not version or release.kind == "adopted":
        return None
    return {"commit": release.commit, "package": release.package_version, "tag": release.ref}[
        version.get("is") or "commit"
    ]


def told_version(
    version: Mapping[str, Any], port: int, host: str = HERE, *, most_seconds: float
) -> tuple[str | None, str | None]:
    """Return the version that the instance tells, and what is wrong where it tells none."""
    url = instance_url(version["url"], port, host)
    try:
        answer = _asked(url, {}, most_seconds)
        found = json.loads(answer.body)
        for part in str(version["json"]).split("."):
            found = found[part]
    except HttpError as exc:
        return None, f"version {urlsplit(url).path}: {exc}"
    except (ValueError, KeyError, TypeError):
        return None, f"version {urlsplit(url).path}: HTTP {answer.status}, without the key {version['json']!r}"
    return str(found), None


def is_version(found: str, wanted: str, kind: str) -> bool:
    """Return whether ``found`` tells the version ``wanted``; a commit may be cut short."""
    if kind == "commit" and len(found) >= LEAST_COMMIT:
        return wanted.startswith(found.lower())
    return found == wanted


def _asked(url: str, headers: Mapping[str, str], seconds: float) -> Answer:
    # The certificate of an instance, where it has one, is for the name that the proxy asks for.
    return ask(url, timeout_seconds=max(0.5, seconds), headers=headers, verify=False)


def _as_from_proxy(url: str | None) -> dict[str, str]:
    """Return the headers that a proxy in front of ``url`` sends: without them applications send people elsewhere."""
    if not url:
        return {}
    try:
        scheme, host, port, _target = split_url(url.replace("{port}", "80"))
    except ValueError:
        return {}
    named = host if port in (80, 443) else f"{host}:{port}"
    return {"Host": named, "X-Forwarded-Proto": scheme, "X-Forwarded-For": "127.0.0.1"}
