# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The REST API of Vercel, as far as services need it. Private to this collection."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.runbook.ops.plugins.module_utils._vercel import (
    Deployment,
    VercelError,
    check_api,
    explain,
    live_of,
    parse_deployment,
)

POLL_SECONDS = 2.0
# Takes method, URL, headers and body; returns status, body, and why there is none.
Fetch = Callable[[str, str, Mapping[str, str], "str | None"], "tuple[int, str, str]"]

ARGUMENTS = {
    "project": {"type": "str", "required": True},
    "team": {"type": "str"},
    "token": {"type": "str", "required": True, "no_log": True},
    "api": {"type": "str", "default": "https://api.vercel.com"},
    "timeout_seconds": {"type": "int", "default": 15},
}


def by_module(module: Any) -> Fetch:
    """Return the door to HTTP that Ansible has: it knows proxies and the authorities to trust."""
    from ansible.module_utils.urls import fetch_url  # noqa: PLC0415  # what only thinks need not load it

    def fetch(method: str, url: str, headers: Mapping[str, str], body: str | None) -> tuple[int, str, str]:
        response, info = fetch_url(
            module,
            url,
            data=body,
            headers=dict(headers),
            method=method,
            timeout=module.params["timeout_seconds"],
            unredirected_headers=["Authorization"],
        )
        status = int(info.get("status") or -1)
        content = response.read() if response is not None and status < 400 else info.get("body") or b""
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
        return status, text, str(info.get("msg") or "")

    return fetch


class Vercel:
    """One project."""

    def __init__(self, fetch: Fetch, *, project: str, team: str | None, token: str, api: str) -> None:
        """Prepare to ask.

        :raises VercelError: the token would travel in clear text.
        """
        self.project, self._fetch, self._api = project, fetch, check_api(api)
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._team = {"teamId" if team.startswith("team_") else "slug": team} if team else {}

    def look(self, limit: int = 5) -> tuple[Deployment | None, list[Deployment]]:
        """Return what production is now, and the newest deployments for it, newest first, whatever became of them."""
        project = self._ask("GET", f"/v9/projects/{quote(self.project, safe='')}", "tell about the project")
        query = {"projectId": str(project.get("id")), "target": "production", "limit": str(limit)}
        found = self._ask("GET", "/v6/deployments", "list deployments", query)
        return live_of(project), [parse_deployment(one) for one in found.get("deployments") or []]

    def deployment(self, identity: str) -> Deployment:
        return parse_deployment(
            self._ask("GET", f"/v13/deployments/{quote(identity, safe='')}", "tell of a deployment")
        )

    def redeploy(self, old: Deployment) -> Deployment:
        """Build ``old`` once more, from the same commit, for production."""
        body = {"name": self.project, "project": self.project, "deploymentId": old.id, "target": "production"}
        return parse_deployment(self._ask("POST", "/v13/deployments", "redeploy", {"forceNew": "1"}, body))

    def _ask(
        self, method: str, path: str, what: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> dict[str, Any]:
        parameters = urlencode({**(query or {}), **self._team})
        url = f"{self._api}{path}" + (f"?{parameters}" if parameters else "")
        headers = {**self._headers, **({"Content-Type": "application/json"} if body else {})}
        status, text, said = self._fetch(method, url, headers, json.dumps(body) if body else None)
        if not 200 <= status < 300:
            raise explain(status, text, what=what, project=self.project, said=said)
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise VercelError(f"what answered at {self._api} is not Vercel's API: correct api in ops_services[].vercel")
        return found
