# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application that writes to a database without a pause, and says when it could: ``steady_writer.py <socket directory> <port> <log>``.

It keeps one session, ends when that ends, and answers 200 at ``http://127.0.0.1:<port>/`` once it has written. Each write that the
server has confirmed is a line of the log, with the monotonic time; so is its own start.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

PAUSE_SECONDS = 0.005
NAME = "shop"


class Health(BaseHTTPRequestHandler):
    """Answers rightly once the application has written."""

    written = False

    def do_GET(self) -> None:
        self.send_response(200 if Health.written else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


def main(directory: str, port: str, log: str) -> int:
    HTTPServer.allow_reuse_address = True
    with Path(log).open("a", encoding="ascii") as written:
        written.write(f"start {time.monotonic()}\n")
        written.flush()
        server = HTTPServer(("127.0.0.1", int(port)), Health)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        argv = ["psql", "-h", directory, "-d", NAME, "-XqAt", "-v", "ON_ERROR_STOP=1"]
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        session = subprocess.Popen([*user, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert session.stdin is not None
        assert session.stdout is not None
        while True:
            try:
                session.stdin.write("INSERT INTO beats DEFAULT VALUES; SELECT 'written';\n")
                session.stdin.flush()
            except BrokenPipeError:
                return 1
            if session.stdout.readline() != "written\n":
                return 1
            written.write(f"wrote {time.monotonic()}\n")
            written.flush()
            Health.written = True
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
