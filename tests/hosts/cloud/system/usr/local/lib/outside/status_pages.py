# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stub of the status pages of others, in the format that Statuspage documents: GET /api/v2/status.json."""

from __future__ import annotations

import ssl
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGES = Path("/srv/outside/status")
LIBRARY = Path("/usr/local/lib/outside")


class Handler(SimpleHTTPRequestHandler):
    """Serves the directory that is named after the host of the request."""

    timeout = 10

    def translate_path(self, path: str) -> str:
        self.directory = str(PAGES / Path(self.headers.get("Host", "-").partition(":")[0]).name)
        return super().translate_path(path)


def main() -> None:
    server = ThreadingHTTPServer(("198.18.0.3", 443), Handler)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(LIBRARY / "outside.crt", LIBRARY / "outside.key")
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main()
