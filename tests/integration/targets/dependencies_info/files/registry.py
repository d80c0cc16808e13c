#!/usr/bin/python3
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stub of a registry of packages: one package with three versions, and an advisory about the first."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

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


with HTTPServer(("127.0.0.1", 0), Registry) as server:
    Path(sys.argv[1], "pid").write_text(str(os.getpid()), encoding="utf-8")
    told = f"registry=http://127.0.0.1:{server.server_port}/\n"
    Path(sys.argv[1], "app/.npmrc").write_text(told, encoding="utf-8")
    server.serve_forever()
