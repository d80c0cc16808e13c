# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The REST API of Vercel, as far as services need it. Private to this collection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.runbook.ops.plugins.module_utils._vercel import (
    VERSION,
    BusyError,
    Deployment,
    VercelError,
    check_api,
    explain,
    live_of,
    parse_deployment,
)

POLL_SECONDS = 2.0
TIMEOUT_SECONDS = 15
BUSY_SECONDS = 60  # how long a limit of requests is waited for, in one call
PAGES = 50
# Takes method, URL, headers and body; returns status, body, and why there is none.
Fetch = Callable[[str, str, Mapping[str, str], "str | None"], "tuple[int, str, str]"]

ARGUMENTS = {
    "project": {"type": "str", "required": True},
    "team": {"type": "str"},
    "token": {"type": "str", "required": True, "no_log": True},
    "api": {"type": "str", "default": "https://api.vercel.com"},
    "timeout_seconds": {"type": "int", "default": TIMEOUT_SECONDS},
}


def by_module(module: Any, timeout_seconds: float = TIMEOUT_SECONDS) -> Fetch:
    """Return the door to HTTP that Ansible has: it knows proxies and the authorities to trust."""
    from ansible.module_utils.urls import fetch_url  # noqa: PLC0415  # what only thinks need not load it

    def fetch(method: str, url: str, headers: Mapping[str, str], body: str | None) -> tuple[int, str, str]:
        response, info = fetch_url(
            module,
            url,
            data=body,
            headers=dict(headers),
            method=method,
            timeout=timeout_seconds,
            unredirected_headers=["Authorization"],
        )
        status = int(info.get("status") or -1)
        content = response.read() if response is not None and status < 400 else info.get("body") or b""
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
        return status, text, str(info.get("msg") or "")

    return fetch


class Vercel:
    """One project."""

    def __init__(
        self,
        fetch: Fetch,
        *,
        project: str,
        team: str | None,
        token: str,
        api: str,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare to ask.

        :raises VercelError: the token would travel in clear text.
        """
        self._clock, self._sleep = clock, sleep
        self.project, self._fetch, self._api = project, fetch, check_api(api)
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._team = {"teamId" if team.startswith("team_") else "slug": team} if team else {}
        self.settings: dict[str, Any] = {}  # the project, as it was at the last look

    def look(self, limit: int = 5) -> tuple[Deployment | None, list[Deployment]]:
        """Return what production is now, and the newest deployments for it, newest first, whatever became of them."""
        project = self.settings = self._ask("GET", self._place("v9"), "tell about the project")
        query = {"projectId": str(project.get("id")), "target": "production", "limit": str(limit)}
        found = self._ask("GET", "/v6/deployments", "list deployments", query)
        latest = [parse_deployment(one) for one in found.get("deployments") or []]
        live = live_of(project)
        if live and not live.url:
            live = next((one for one in latest if one.id == live.id), None) or self.deployment(live.id)
        return live, latest

    def deployment(self, identity: str) -> Deployment:
        return parse_deployment(
            self._ask("GET", f"/v13/deployments/{quote(identity, safe='')}", "tell of a deployment")
        )

    def redeploy(self, old: Deployment) -> Deployment:
        """Build ``old`` once more, from the same commit, for production."""
        body = {"name": self.project, "project": self.project, "deploymentId": old.id, "target": "production"}
        return parse_deployment(self._ask("POST", "/v13/deployments", "redeploy", {"forceNew": "1"}, body))

    def build(self, source: Mapping[str, Any], *, assign: bool, version: str) -> Deployment:
        """Build a commit for production; the project's domains lead to it once it is ready, where ``assign`` says so."""
        body = {"name": self.project, "project": self.project, "target": "production", "gitSource": dict(source)}
        if not assign:
            body["meta"] = {VERSION: version}  # so that it is known as one that no domain will lead to by itself
        return parse_deployment(
            self._ask(
                "POST", "/v13/deployments", "deploy", {"forceNew": "1"}, {**body, "autoAssignCustomDomains": assign}
            )
        )

    def promote(self, identity: str) -> None:
        """Lead the domains to a deployment that is built; from then on they follow the production branch again."""
        self._ask("POST", f"{self._place('v10')}/promote/{quote(identity, safe='')}", "promote")

    def roll_back(self, identity: str, reason: str) -> None:
        """Lead the domains back to a deployment that was in production; from then on they follow nothing."""
        path = f"{self._place('v1')}/rollback/{quote(identity, safe='')}"
        self._ask("POST", path, "roll back", {"description": reason})

    def variables(self) -> list[dict[str, Any]]:
        """Return the environment variables of the project, without the values."""
        found: list[dict[str, Any]] = []
        until: dict[str, str] = {}
        for _page in range(PAGES):
            told = self._ask("GET", f"{self._place('v10')}/env", "list variables", until)
            found += [{**one, "target": _listed(one.get("target"))} for one in told.get("envs") or []]
            following = (told.get("pagination") or {}).get("next")
            if not following:
                return found
            until = {"until": str(following)}
        raise VercelError(f"{self.project} has more than {PAGES} pages of variables: not all of them were seen")

    def set_variable(self, variable: Mapping[str, Any]) -> None:
        self._ask("POST", f"{self._place('v10')}/env", "set a variable", {"upsert": "true"}, dict(variable))

    def remove_variable(self, identity: str) -> None:
        self._ask("DELETE", f"{self._place('v9')}/env/{quote(identity, safe='')}", "remove a variable")

    def value_of(self, identity: str) -> str | None:
        """Return the value of a variable; None for a sensitive one, which nobody can read."""
        value = self._ask("GET", f"{self._place('v1')}/env/{quote(identity, safe='')}", "tell a variable").get("value")
        return None if value is None else str(value)

    def _taken(self, what: str, fetch: Callable[[], tuple[int, str, str]]) -> str:
        """Return the answer; one that says when requests are taken again is waited for, for it has done nothing."""
        last = self._clock() + BUSY_SECONDS
        while True:
            status, text, said = fetch()
            if 200 <= status < 300:
                return text
            error = explain(status, text, what=what, project=self.project, said=said)
            again_at = error.again_at if isinstance(error, BusyError) else None
            if again_at is None or again_at > last or self._clock() >= last:
                raise error
            self._sleep(max(POLL_SECONDS, again_at - self._clock()))

    def _place(self, version: str) -> str:
        return f"/{version}/projects/{quote(self.project, safe='')}"

    def _ask(
        self, method: str, path: str, what: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> dict[str, Any]:
        parameters = urlencode({**(query or {}), **self._team})
        url = f"{self._api}{path}" + (f"?{parameters}" if parameters else "")
        headers = {**self._headers, **({"Content-Type": "application/json"} if body else {})}
        text = self._taken(what, lambda: self._fetch(method, url, headers, json.dumps(body) if body else None))
        try:
            found = json.loads(text) if text.strip() else {}  # an order that was taken has no more to say
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise VercelError(f"what answered at {self._api} is not Vercel's API: correct api in ops_services[].vercel")
        return found


def _listed(target: Any) -> list[str]:
    """Return the environments of a variable: of a single one Vercel may tell without a list."""
    return [target] if isinstance(target, str) else list(target or [])
