# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which deployment at Vercel is meant, and whether it may be. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._vercel import AT_WORK, Deployment, VercelError

COMMIT = re.compile("[0-9a-f]{40}")
# What a repository is called in an order to build: https://vercel.com/docs/rest-api/deployments/create-a-new-deployment
REPOSITORIES = {"github": "repoId", "gitlab": "projectId", "bitbucket": "repoUuid"}


def named(latest: Sequence[Deployment], wanted: str) -> Deployment | None:
    """Return the newest deployment that ``wanted`` means: its identifier, its URL, or the beginning of its commit."""
    bare = wanted.removeprefix("https://").rstrip("/")
    return next(
        (
            one
            for one in latest
            if bare in (one.id, one.url) or (len(bare) >= 7 and one.commit is not None and one.commit.startswith(bare))
        ),
        None,
    )


def refuse_busy(latest: Sequence[Deployment], *, project: str) -> None:
    """Refuse to order anything while a deployment for production is on its way: it may be served by itself once it is ready.

    :raises VercelError: one is that was not staged by us.
    """
    busy = [one for one in latest if one.state in AT_WORK and not one.version]
    if busy:
        raise VercelError(
            f"a production deployment of {project} is {busy[0].state} since {busy[0].created_at} ({busy[0].url}): "
            "wait until it has ended, or cancel it, then run this again"
        )


def to_promote(live: Deployment | None, latest: Sequence[Deployment], wanted: str) -> Deployment:
    """Return what is to be promoted: the one named, or the newest.

    :raises VercelError: there is none, or it is not ready.
    """
    found = named(latest, wanted) if wanted else next(iter(latest), None)
    if found is None:
        known = ", ".join(one.url for one in latest) or "none"
        raise VercelError(f"there is no production deployment {wanted!r} among the newest: they are {known}")
    if found.state != "READY":
        raise VercelError(
            f"{found.url} is {found.state}, and only what is ready can be promoted; production is still {url(live)}"
        )
    return found


def to_go_back_to(live: Deployment | None, latest: Sequence[Deployment], wanted: str) -> Deployment:
    """Return where a rollback leads: to the one named, or to the newest before ``live`` that was in production.

    :raises VercelError: there is none, or it never was in production.
    """
    if wanted:
        found = named(latest, wanted)
        if found is None:
            raise VercelError(
                f"there is no production deployment {wanted!r} among the newest: give its identifier, URL or commit"
            )
        if found.state != "READY" or not (found.candidate or found == live):
            raise VercelError(f"{found.url} never was in production, or cannot be gone back to: promote it instead")
        return found
    place = next((number for number, one in enumerate(latest) if live and one.id == live.id), len(latest))
    before = [one for one in latest[place + 1 :] if one.state == "READY" and one.candidate]
    if not before:
        raise VercelError(
            f"nothing before {url(live)} was in production and is still there: deploy an earlier commit instead"
        )
    return before[0]


def source_of(project: Mapping[str, Any], commit: str, ref: str) -> dict[str, Any]:
    """Return the order to build ``commit``, from the repository that the project is linked to.

    :raises VercelError: it is no commit, or the project is linked to no repository.
    """
    if not COMMIT.fullmatch(commit):
        raise VercelError(f"deployment is {commit!r}: give the commit in full, 40 hexadecimal digits")
    link = project.get("link") or {}
    kind = str(link.get("type") or "").removesuffix("-custom-host")
    if kind not in REPOSITORIES or not link.get(REPOSITORIES[kind]):
        raise VercelError(
            f"{project.get('name')} is not linked to a repository: connect it at Vercel, or deploy with its own CLI"
        )
    key = REPOSITORIES[kind]
    return {"type": kind, key: link[key], "ref": ref or link.get("productionBranch") or "main", "sha": commit}


def url(one: Deployment | None) -> str:
    return one.url if one else "nothing"
