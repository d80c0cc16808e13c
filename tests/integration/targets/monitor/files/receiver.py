# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail server and a webhook on the loopback address that write what they get to a file, one JSON object a line.

Usage: receiver.py SMTP_PORT HTTP_PORT FILE
"""

from __future__ import annotations

import json
import socketserver
import sys
import threading
from email import message_from_string
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


def note(**what: object) -> None:
    with Path(sys.argv[3]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


class Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as a mail takes."""

    def handle(self) -> None:
        self.say("220 receiver")
        while line := self.rfile.readline().decode().strip():
            verb = line.split(":")[0].split()[0].upper()
            if verb == "DATA":
                self.say("354 go on")
                mail = message_from_string("".join(iter(lambda: self.rfile.readline().decode(), ".\r\n")))
                note(
                    by="email",
                    id=mail["Message-ID"].strip("<>").split("@")[0],
                    subject=" ".join(mail["Subject"].split()),
                )
            self.say("221 bye" if verb == "QUIT" else "250 fine")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class Hook(BaseHTTPRequestHandler):
    """Takes JSON."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        note(by="webhook", id=body["id"], subject=body["subject"])
        self.send_response(204)
        self.end_headers()

    def do_GET(self) -> None:
        note(by="alive", id=self.path, subject="")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


socketserver.ThreadingTCPServer.allow_reuse_address = True
mail = socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Mail)
threading.Thread(target=mail.serve_forever, daemon=True).start()
HTTPServer(("127.0.0.1", int(sys.argv[2])), Hook).serve_forever()
