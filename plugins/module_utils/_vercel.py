# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Vercel says of a project, and what its errors mean. Private to this collection."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils._service_state import make_state

AT_WORK = ("QUEUED", "INITIALIZING", "BUILDING")
FAILED = ("ERROR", "CANCELED")
VERSION = "runbookOpsVersion"  # in the metadata of what we stage: what was asked for, such as a tag
LOOPBACK = ("localhost", "127.0.0.1", "::1")
COMMITS = ("githubCommitSha", "gitlabCommitSha", "bitbucketCommitSha")
BRANCHES = ("githubCommitRef", "gitlabCommitRef", "bitbucketCommitRef")


class VercelError(Exception):
    """Vercel refused, did not answer, or what it did went wrong; the message is one line that says what to do."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class RefusedError(VercelError):
    """Vercel understood what was asked for, and will not do it."""


class UnknownError(VercelError):
    """Vercel does not know what was asked for: it never was there, or is not any more."""


class BusyError(VercelError):
    """Vercel takes no more requests for a while; nothing of what was asked for is done."""

    def __init__(self, message: str, *, again_at: float | None) -> None:
        super().__init__(message)
        self.again_at = again_at  # seconds since 1970


@dataclass(frozen=True)
class Deployment:
    """One deployment."""

    id: str
    url: str
    state: str  # QUEUED | INITIALIZING | BUILDING | READY | ERROR | CANCELED | DELETED
    commit: str | None = None
    branch: str | None = None
    created_at: str | None = None
    ready_at: str | None = None
    assigned: bool = False  # whether the project's domains lead to it
    error: str | None = None
    candidate: bool = False  # whether one may go back to it: it has been in production
    version: str | None = None  # what was asked for, of one that we have staged


def parse_deployment(document: Mapping[str, Any]) -> Deployment:
    """Return a deployment from any of the endpoints that tell of one: they name its parts differently."""
    meta = document.get("meta") or {}
    return Deployment(
        id=str(document.get("id") or document.get("uid") or ""),
        url=str(document.get("url") or ""),
        state=str(document.get("readyState") or document.get("state") or "UNKNOWN"),
        commit=next((meta[key] for key in COMMITS if meta.get(key)), None),
        branch=next((meta[key] for key in BRANCHES if meta.get(key)), None),
        created_at=_clock(document.get("createdAt") or document.get("created")),
        ready_at=_clock(document.get("readyAt") or document.get("ready")),
        assigned=bool(document.get("aliasAssigned")),
        error=document.get("errorMessage"),
        candidate=bool(document.get("isRollbackCandidate")),
        version=meta.get(VERSION),
    )


def _clock(milliseconds: Any) -> str | None:
    if not isinstance(milliseconds, (int, float)):
        return None
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def live_of(project: Mapping[str, Any]) -> Deployment | None:
    """Return the deployment that the project's domains lead to, None where there never was one.

    After a rollback or a promotion it may be known by its identifier only.
    """
    document: Mapping[str, Any] = (project.get("targets") or {}).get("production") or {}
    request = alias_request(project)
    newest = parse_deployment(document) if document else None
    if request and request[1] == "succeeded" and (newest is None or request[2] >= (document.get("createdAt") or 0)):
        return (
            newest
            if newest and newest.id == request[0]
            else Deployment(id=request[0], url="", state="READY", assigned=True)
        )
    return newest


def alias_request(project: Mapping[str, Any]) -> tuple[str, str, float] | None:
    """Return the last order to lead the domains to a deployment: to which, what became of it, and when (ms); None for none."""
    request = project.get("lastAliasRequest") or {}
    if not request.get("toDeploymentId"):
        return None
    return str(request["toDeploymentId"]), str(request.get("jobStatus")), float(request.get("requestedAt") or 0)


def refuse_redeploy(live: Deployment | None, latest: Iterable[Deployment], *, project: str) -> Deployment:
    """Return the deployment to be redeployed.

    :raises VercelError: there is none, or one is on its way already.
    """
    busy = [one for one in latest if one.state in AT_WORK]
    if busy:
        raise VercelError(
            f"a production deployment of {project} is {busy[0].state} since {busy[0].created_at} ({busy[0].url}): "
            "wait until it has ended, or cancel it, then run this again"
        )
    if live is None:
        raise VercelError(f"{project} has no production deployment that could be redeployed: deploy it first")
    return live


def is_live(new: Deployment, *, old: Deployment) -> bool:
    """Return whether ``new`` serves; False while it may come to.

    :raises VercelError: it will not.
    """
    if new.state in FAILED:
        why = f" ({new.error})" if new.error else ""
        raise VercelError(
            f"the new deployment ended as {new.state}{why}; production is still {old.url}. Read its log: "
            f"vercel inspect --logs {new.url}"
        )
    return new.state == "READY" and new.assigned


def state_of(name: str, live: Deployment | None, latest: Iterable[Deployment]) -> dict[str, Any]:
    """Return the state of the service in the shape that all managers have."""
    service = {"name": name, "manager": "vercel"}
    newest = next(iter(latest), None)
    if live is None:
        return make_state(service, found=0, running=0, wanted=1)
    trouble = None if live.state == "READY" else f"production is {live.state}"
    if newest is not None and newest.id != live.id and newest.state in FAILED:
        trouble = f"the newest deployment ended as {newest.state} ({newest.url})"
    state = make_state(
        service, found=1, running=int(live.state == "READY"), wanted=1, trouble=trouble, version=version_of(live)
    )
    return {**state, "since": live.ready_at or live.created_at}


def version_of(one: Deployment) -> str:
    """Return what people know a deployment by: its commit, else its URL."""
    return f"{one.branch or 'commit'} {one.commit[:7]}" if one.commit else one.url


def check_api(api: str) -> str:
    """Return the URL of the API without a slash at its end.

    :raises VercelError: the token would travel in clear text.
    """
    parts = urlsplit(api)
    if not parts.hostname or (parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK)):
        raise VercelError(
            f"api is {api!r}: write a URL that begins with https://, for the token must not be read by others"
        )
    return api.rstrip("/")


def _error_in(body: str) -> dict[str, Any]:
    """Return what an answer says of its error; something before Vercel may say it in other words, or in none."""
    try:
        error = json.loads(body).get("error")
    except (ValueError, AttributeError):
        return {}
    if isinstance(error, dict):
        return error
    return {"message": " ".join(str(error).split())[:200]} if error else {}


def explain(status: int, body: str, *, what: str, project: str, said: str = "") -> VercelError:
    """Return the error for an answer that is none, with what to do.

    :param status: HTTP status, below 1 where there was no answer
    :param said: why there was no answer
    """
    error = _error_in(body)
    words = " ".join(str(error.get(key)) for key in ("code", "message") if error.get(key)) or said
    if status in (401, 403):
        return VercelError(
            f"Vercel refused the token ({status} {words}): make a new one that may act for the team, and put it into the vault"
        )
    if status in (404, 410):
        return UnknownError(
            f"Vercel does not know {project!r} ({words}): correct project or team in ops_services[].vercel"
        )
    if status == 429:
        limit = error.get("limit")
        reset = limit.get("reset") if isinstance(limit, Mapping) else None
        again_at = float(reset) if isinstance(reset, (int, float)) else None
        until = f", again at {_clock(again_at * 1000)}" if again_at is not None else ""
        return BusyError(
            f"Vercel takes no more requests of this account for now ({words}){until}: run this again then",
            again_at=again_at,
        )
    if status < 1 or status == 408 or status >= 500:
        numbered = f"{status} {words}".strip() if status > 0 else words
        return VercelError(
            f"Vercel did not answer {what} ({numbered}): see https://www.vercel-status.com, then run this again"
        )
    return RefusedError(f"Vercel refused to {what} ({status} {words})")
