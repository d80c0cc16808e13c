# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment at Vercel has to answer, at its own address and at that of production. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._live_proof import Proof
from ansible_collections.runbook.ops.plugins.module_utils._vercel import LOOPBACK, Deployment, VercelError
from ansible_collections.runbook.ops.plugins.module_utils._vercel_watch import Waiting

SECTION = "Deployment"
BYPASS = "x-vercel-protection-bypass"  # https://vercel.com/docs/deployment-protection
ANSWERS = 3  # in a row
PAUSE_SECONDS = 0.25
REQUEST_SECONDS = 10.0
PROOF_SECONDS = 30.0  # until all of Vercel's edge knows where the domains lead
FAILURES = 3  # in a row, at the address of users: no chance, and no old version either
PROOF_PAUSE_SECONDS = 0.5
ANEW = "it keeps the variables that it was built with: if they were wrong, mend them and deploy it with -e deploy_rebuild=true"


class Known(NamedTuple):
    """What is known of a deployment's version, as the proof of a release wants it."""

    id: str
    commit: str | None
    ref: str | None
    package_version: str | None = None


def own_address(one: Deployment) -> str:
    """Return the address of the deployment itself, which no user's request comes to."""
    host = one.url.partition(":")[0]
    return f"{'http' if host in LOOPBACK else 'https'}://{one.url}"


def production_address(service: Mapping[str, Any]) -> str:
    """Return the address that users ask."""
    parts = urlsplit(service["deploy"]["url"])
    return f"{parts.scheme}://{parts.netloc}"


def requests_of(service: Mapping[str, Any], base: str, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what is asked at ``base``: health and smoke, or, where neither is described, what the URL of the deploy names."""
    deploy, health = service["deploy"], service.get("health") or {}
    more = {"headers": dict(headers), "timeout_seconds": REQUEST_SECONDS}
    found: list[dict[str, Any]] = []
    if health.get("url"):
        right = {"status": [health.get("status") or 200], "json": health.get("json")}
        found.append({"url": _at(base, health["url"]), **_given(right), **more})
    for one in deploy.get("smoke") or ():
        right = {"status": [one.get("status") or 200], "json": one.get("json")}
        found.append({"url": f"{base}{one['request']}", **_given(right), **more})
    return found or [{"url": _at(base, deploy["url"]), **more}]


def proof_of(service: Mapping[str, Any], one: Deployment, base: str, headers: Mapping[str, str]) -> Proof:
    """Return what proves that ``one`` answers rightly at ``base``.

    :raises ValueError: a request is described wrongly.
    """
    known: Any = Known(one.id, one.commit, one.version)
    return Proof(requests_of(service, base, headers), _version_of(service, base, headers), known)


def prove(service: Mapping[str, Any], one: Deployment, waiting: Waiting) -> None:
    """Wait until users are answered by ``one``, and rightly: another version may answer for a while, errors may not.

    :raises VercelError: they are not.
    """
    base = production_address(service)
    answers = Proof(requests_of(service, base, {}), None, None)
    known: Any = Known(one.id, one.commit, one.version)
    version = Proof([], _version_of(service, base, {}), known)
    began, failed, in_row = waiting.clock(), 0, 0
    while in_row < ANSWERS:
        wrong = answers()
        failed = failed + 1 if wrong else 0
        wrong = wrong or version()
        in_row = 0 if wrong else in_row + 1
        if wrong and (failed >= FAILURES or waiting.clock() - began >= PROOF_SECONDS):
            raise VercelError(f"the domains lead to {one.id}, but {wrong}")
        waiting.sleep(PROOF_PAUSE_SECONDS)


def _version_of(service: Mapping[str, Any], base: str, headers: Mapping[str, str]) -> dict[str, Any] | None:
    version = service["deploy"].get("version")
    if not version:
        return None
    at = {"url": _at(base, version["url"]), "headers": dict(headers), "timeout_seconds": REQUEST_SECONDS}
    return {**version, "is": version.get("is") or "commit", **at}


def wait_until_right(proof: Proof, seconds: float, stable_seconds: float, waiting: Waiting) -> float:
    """Return after how many seconds it was right for the first time, several times in a row, and for ``stable_seconds``.

    :raises VercelError: it was not within ``seconds``.
    """
    began = waiting.clock()
    right_at, in_row = None, 0
    while True:
        wrong = proof()
        now = waiting.clock()
        if wrong is None:
            right_at, in_row = now if right_at is None else right_at, in_row + 1
            if in_row >= ANSWERS and now - right_at >= stable_seconds:
                return right_at - began
        else:
            right_at, in_row = None, 0
            if now - began >= seconds:
                raise VercelError(f"not right within {seconds:g} s: {wrong}{_hint(wrong)}")
        waiting.sleep(PAUSE_SECONDS)


def pass_gate(
    service: Mapping[str, Any], one: Deployment, bypass: str | None, *, standing: bool, waiting: Waiting
) -> list[dict[str, Any]]:
    """Wait until ``one`` has shown at its own address that it is right, and return the checks.

    :raises VercelError: it did not.
    """
    deploy = service["deploy"]
    base = own_address(one)
    proof = proof_of(service, one, base, {BYPASS: bypass} if bypass else {})
    stable = 0.0 if standing else deploy["stable_seconds"]
    try:
        after = wait_until_right(proof, deploy["start_timeout_seconds"], stable, waiting)
    except VercelError as exc:
        raise VercelError(f"{one.id} did not pass the gate at {base}: {exc}; {ANEW}") from exc
    named = one.version if one.version != one.commit else None
    version = f", version {named or (one.commit or '')[:12]}" if deploy.get("version") else ""
    return [
        make_check(
            f"gate:{service['name']}:answers",
            name=f"{service['name']}: answers of the new release",
            section=SECTION,
            status="ok",
            value=round(after, 2),
            unit="s",
            limit=deploy["start_timeout_seconds"],
            detail=f"{base} was right after {after:.1f} s, {ANSWERS} times in a row, and for {stable:g} s{version}",
        )
    ]


def real_waiting() -> Waiting:
    """Return a clock that nobody sets."""
    return Waiting(time.monotonic, time.sleep)


def _at(base: str, url: str) -> str:
    parts = urlsplit(url)
    return f"{base}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _hint(wrong: str) -> str:
    if "HTTP 401" not in wrong:
        return ""
    return "; if deployments are protected, put the secret of Protection Bypass for Automation into ops_services[].vercel.bypass"
