# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Append every body that is posted to this port of the loopback address to a file, one line each."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, FILE = int(sys.argv[1]), Path(sys.argv[2])


class Relay(BaseHTTPRequestHandler):
    """Takes JSON, answers that it has it."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            line = json.dumps(json.loads(body))
        except ValueError:
            self.send_error(400, "the body is not JSON")
            return
        with FILE.open("a", encoding="utf-8") as handle:
            handle.write(f"{line}\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: the file tells."""


ThreadingHTTPServer(("127.0.0.1", PORT), Relay).serve_forever()
