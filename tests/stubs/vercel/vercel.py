# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stub of Vercel's REST API: the documented answers of the endpoints that the collection uses, and nothing of Vercel.

It shows which requests are made and what becomes of the answers that are documented; how Vercel itself answers it cannot
show. It keeps one project in memory: a deployment goes one state on each time it is asked for. Listens on the loopback
address only.

    python3 tests/stubs/vercel/vercel.py --port 9443 --project shop --token secret

With ``--sites`` each deployment answers too, at an address of its own, and production at the port ``--production``, with its
commit. What a commit is like is its first letter: ``b`` is never healthy, ``c`` tells another version, ``d`` fails and ``e`` is
slow where users ask. Where MAINTENANCE_MODE was set when it was built, all but ``/health`` is 503.

``POST /stub`` with ``{"outcome": "ERROR"}`` lets the next deployments fail, with ``{"down": true}`` it answers 503 to all,
with ``{"deploy": "abc123"}`` a commit is deployed as by a push, with ``{"stuck": true}`` no order about domains is carried out, with
``{"lost": 2}`` the answers to the next two orders get lost, with ``{"quit": true}`` it ends.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

WAY = ("QUEUED", "BUILDING")
Answer = tuple[int, dict[str, Any]]
NOT_FOUND: Answer = (404, {"error": {"code": "not_found", "message": "Not found"}})


class Project:
    """One project and its deployments, newest last."""

    def __init__(self, name: str, token: str) -> None:
        self.name, self.token, self.outcome, self.down = name, token, "READY", False
        self.deployments: list[dict[str, Any]] = []
        self.variables: list[dict[str, Any]] = []
        self.live: str | None = None
        self.follows, self.stuck, self.request = True, False, None  # whether the domains follow what is built
        self.lost = 0  # orders that are carried out and answered by nothing
        self.sites = False
        self.refuses = False  # as a plan that does not allow to go back so far
        self.lock = threading.Lock()

    def deploy(
        self, commit: str, *, ready: bool = False, assign: bool = True, meta: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        number = len(self.deployments) + 1
        one = {
            "id": f"dpl_{number}",
            "url": f"{self.name}-{number}.vercel.app",
            "name": self.name,
            "target": "production",
            "createdAt": int(time.time() * 1000),
            "readyState": WAY[0],
            "aliasAssigned": False,
            "isRollbackCandidate": False,
            "wanted": assign,
            "meta": {"githubCommitSha": commit, "githubCommitRef": "main", **(meta or {})},
        }
        if self.sites:
            closed = any(one["key"] == "MAINTENANCE_MODE" and "production" in one["target"] for one in self.variables)
            own = ThreadingHTTPServer(("127.0.0.1", 0), site(lambda: (commit, closed, False)))
            threading.Thread(target=own.serve_forever, daemon=True).start()
            one.update(url=f"127.0.0.1:{own.server_address[1]}", closed=closed)
        self.deployments.append(one)
        if ready:
            self.finish(one, "READY")
        return one

    def finish(self, one: dict[str, Any], state: str) -> None:
        one["readyState"] = state
        if state == "READY":
            one["ready"] = int(time.time() * 1000)
            if one["wanted"] and self.follows:
                self.lead_to(one)
        else:
            one["errorMessage"] = "Command npm run build exited with 1"

    def lead_to(self, one: dict[str, Any]) -> None:
        one.update(aliasAssigned=True, isRollbackCandidate=True)
        self.live = one["id"]

    def order(self, kind: str, identity: str) -> Answer:
        """Lead the domains to a deployment, as promote and rollback do."""
        one = next((each for each in self.deployments if each["id"] == identity), None)
        if one is None:
            return NOT_FOUND
        if kind == "rollback" and self.refuses:
            return 402, {"error": {"code": "payment_required", "message": "Not on this plan"}}
        if one["readyState"] != "READY" or (kind == "rollback" and not one["isRollbackCandidate"]):
            return 422, {"error": {"code": "invalid_deployment", "message": f"Cannot {kind} to this deployment"}}
        now = int(time.time() * 1000)
        status = "in-progress" if self.stuck else "succeeded"
        self.request = {"toDeploymentId": identity, "jobStatus": status, "type": kind, "requestedAt": now}
        if not self.stuck:
            self.lead_to(one)
            self.follows = kind == "promote"
        return 201, {}

    def variable(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        """Answer for the environment variables; the value of a sensitive one is told to nobody."""
        identity = path.partition("/env/")[2]
        found = next((one for one in self.variables if one["id"] == identity), None)
        if method == "POST":
            same = [
                one for one in self.variables if one["key"] == body["key"] and set(one["target"]) & set(body["target"])
            ]
            self.variables = [one for one in self.variables if one not in same]
            self.variables.append(
                {**body, "id": same[0]["id"] if same else f"env_{len(self.variables) + 1}_{body['key']}"}
            )
            return 201, {"created": {"key": body["key"]}, "failed": []}
        if not identity:
            return 200, {"envs": [{k: v for k, v in one.items() if k != "value"} for one in self.variables]}
        if not found:
            return NOT_FOUND
        if method == "DELETE":
            self.variables.remove(found)
            return 200, {"key": found["key"]}
        return 200, {k: v for k, v in found.items() if k != "value" or found["type"] != "sensitive"}

    def look(self, identity: str) -> dict[str, Any] | None:
        """Return a deployment, one state further than it was at the last look."""
        one = next((each for each in self.deployments if each["id"] == identity), None)
        if one and one["readyState"] in WAY:
            place = WAY.index(one["readyState"]) + 1
            if place < len(WAY):
                one["readyState"] = WAY[place]
            else:
                self.finish(one, self.outcome)
            return {**one}
        return one

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
        if path == "/stub":
            self.outcome, self.down = body.get("outcome", self.outcome), body.get("down", self.down)
            self.stuck, self.lost = body.get("stuck", self.stuck), body.get("lost", self.lost)
            return 200, self.deploy(body["deploy"], ready=body.get("ready", True)) if body.get("deploy") else {}
        if self.down:
            return 503, {"error": {"code": "internal_server_error", "message": "An unexpected internal error occurred"}}
        if path.startswith("/v") and f"/projects/{self.name}/env" in path:
            return self.variable(method, path, body)
        for kind, version in (("promote", "v10"), ("rollback", "v1")):
            if method == "POST" and path.startswith(f"/{version}/projects/{self.name}/{kind}/"):
                answer = self.order(kind, path.rpartition("/")[2])
                self.lost, is_lost = max(0, self.lost - 1), self.lost > 0
                return (504, {"error": {"code": "gateway_timeout", "message": "No answer"}}) if is_lost else answer
        if method == "POST" and path == "/v13/deployments":
            return self.redeploy(body)
        return self.tell(path, query) if method == "GET" else NOT_FOUND

    def tell(self, path: str, query: dict[str, str]) -> Answer:
        if path == f"/v9/projects/{self.name}":
            live = next((one for one in self.deployments if one["id"] == self.live), None)
            return 200, {
                "id": "prj_1",
                "name": self.name,
                "targets": {"production": live} if live else {},
                "autoAssignCustomDomains": self.follows,
                "lastAliasRequest": self.request,
                "link": {"type": "github", "repoId": 4711, "productionBranch": "main"},
            }
        if path == "/v6/deployments" and query.get("projectId") == "prj_1":
            newest = list(reversed(self.deployments))[: int(query.get("limit", 20))]
            listed = [
                {**one, "uid": one["id"], "state": one["readyState"], "created": one["createdAt"]} for one in newest
            ]
            return 200, {
                "deployments": [{k: v for k, v in one.items() if k != "id"} for one in listed],
                "pagination": {},
            }
        if path.startswith("/v13/deployments/"):
            one = self.look(path.rpartition("/")[2])
            return (200, one) if one else NOT_FOUND
        return NOT_FOUND

    def redeploy(self, body: dict[str, Any]) -> Answer:
        source = body.get("gitSource")
        if source and body.get("name") == self.name:
            if source.get("type") != "github" or source.get("repoId") != 4711:
                return 400, {
                    "error": {"code": "incorrect_git_source_info", "message": "The provided git source is invalid"}
                }
            return 200, self.deploy(
                source["sha"], assign=body.get("autoAssignCustomDomains", True), meta=body.get("meta")
            )
        old = next((one for one in self.deployments if one["id"] == body.get("deploymentId")), None)
        if body.get("name") != self.name or old is None:
            return 400, {"error": {"code": "bad_request", "message": "Invalid deploymentId"}}
        return 200, self.deploy(old["meta"]["githubCommitSha"])


def site(now: Callable[[], tuple[str, bool, bool]]) -> type[BaseHTTPRequestHandler]:
    """Return the answers of an application; ``now`` tells its commit, whether it is closed, and whether users ask."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            commit, closed, public = now()
            kind, status = commit[:1], 200
            if kind == "e" and public:
                time.sleep(0.5)
            if kind == "b" or (kind == "d" and public) or not commit:
                status = 500
            elif closed and self.path != "/health":
                status = 503
            content = json.dumps({"status": "ok", "commit": "0" * 40 if kind == "c" else commit}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    return Handler


def production(project: Project, port: int) -> ThreadingHTTPServer:
    """Return what users ask: it is answered by what the domains lead to."""

    def now() -> tuple[str, bool, bool]:
        with project.lock:
            live = next((one for one in project.deployments if one["id"] == project.live), None)
        return (live["meta"]["githubCommitSha"], live.get("closed", False), True) if live else ("", False, True)

    return ThreadingHTTPServer(("127.0.0.1", port), site(now))


def handler(project: Project) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, said = 403, {"error": {"code": "forbidden", "message": "Not authorized", "invalidToken": True}}
            if parts.path == "/stub" or self.headers.get("Authorization") == f"Bearer {project.token}":
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                with project.lock:
                    status, said = project.answer(self.command, parts.path, query, json.loads(body or b"{}"))
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            if parts.path == "/stub" and json.loads(body or b"{}").get("quit"):
                threading.Thread(target=self.server.shutdown).start()  # from another thread: it waits for this one

        do_POST = do_DELETE = do_GET  # noqa: N815  # the names that http.server wants

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    return Handler


def serve(project: Project, port: int = 0) -> ThreadingHTTPServer:
    """Return a server of ``project`` on the loopback address, not yet started; port 0 takes a free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), handler(project))


def main() -> None:
    parser = argparse.ArgumentParser(description="A stub of Vercel's REST API.")
    parser.add_argument("--port", type=int, default=9443)
    parser.add_argument("--project", default="shop")
    parser.add_argument("--token", default="secret")
    parser.add_argument("--commit", default="0123456789abcdef", help="what is in production at first")
    parser.add_argument("--sites", action="store_true", help="have deployments answer too")
    parser.add_argument("--production", type=int, default=9444, help="port at which users ask, with --sites")
    parser.add_argument("--seconds", type=float, help="end after so many seconds")
    asked = parser.parse_args()
    project = Project(asked.project, asked.token)
    project.sites = asked.sites
    project.deploy(asked.commit, ready=True)
    if asked.sites:
        threading.Thread(target=production(project, asked.production).serve_forever, daemon=True).start()
    server = serve(project, asked.port)
    if asked.seconds:
        limit = threading.Timer(asked.seconds, server.shutdown)
        limit.daemon = True
        limit.start()
    server.serve_forever()


if __name__ == "__main__":
    main()
