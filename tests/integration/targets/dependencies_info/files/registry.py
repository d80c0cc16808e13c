#!/usr/bin/python3
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stub of a registry of packages, and two projects: one that reaches it, and one whose registry does not answer.

It has one package with three versions, and an advisory about the first. It goes on in the background once it listens.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

WANTED = {"name": "app", "version": "1.0.0", "dependencies": {"runbook-old": "^1.0.0"}}
LOCKED = {
    "name": "app",
    "lockfileVersion": 3,
    "packages": {"": WANTED, "node_modules/runbook-old": {"version": "1.0.0"}},
}
VERSIONS = ("1.0.0", "1.0.1", "2.0.0")
ADVISORY = {
    "id": 1,
    "url": "https://example.com/1",
    "title": "It leaks",
    "severity": "high",
    "vulnerable_versions": "<1.0.1",
    "cwe": [],
}


class Registry(BaseHTTPRequestHandler):
    """Answers what npm asks."""

    def do_GET(self) -> None:
        """Send what is known of the package."""
        dist = {"tarball": "http://127.0.0.1/none.tgz", "shasum": "0" * 40}
        known = {version: {"name": "runbook-old", "version": version, "dist": dist} for version in VERSIONS}
        self._send({"name": "runbook-old", "dist-tags": {"latest": "2.0.0"}, "versions": known})

    def do_POST(self) -> None:
        """Send the advisories."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._send({"runbook-old": [ADVISORY]})

    def _send(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def write_project(directory: Path, port: int) -> None:
    """Write what a project depends on, and which registry it asks."""
    directory.mkdir()
    content = {
        "package.json": json.dumps(WANTED),
        "package-lock.json": json.dumps(LOCKED),
        ".npmrc": f"registry=http://127.0.0.1:{port}/\n",
    }
    for name, text in content.items():
        (directory / name).write_text(text, encoding="utf-8")
        (directory / name).chmod(0o600)


place = Path(sys.argv[1])
with HTTPServer(("127.0.0.1", 0), Registry) as server:
    write_project(place / "app", server.server_port)
    write_project(place / "lost", 9)
    child = os.fork()
    if child:
        (place / "pid").write_text(str(child), encoding="utf-8")
        os._exit(0)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    server.serve_forever()
