#!/usr/bin/python3
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stub of a registry of images: one name, whose image is made from the words in a file, anew at each question."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PLACE = Path(sys.argv[1])
KIND = "application/vnd.docker.distribution.manifest.v2+json"


def digest(data: bytes) -> str:
    """Return the digest of ``data``."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def blobs() -> tuple[bytes, dict[str, bytes]]:
    """Return the manifest, and all that it names."""
    words = json.loads((PLACE / "words").read_text("utf-8"))
    tree = (PLACE / "layer.tar").read_bytes()
    layer = gzip.compress(tree, mtime=0)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": words,
            "rootfs": {"type": "layers", "diff_ids": [digest(tree)]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": KIND,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": len(config),
            "digest": digest(config),
        },
        "layers": [
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": len(layer),
                "digest": digest(layer),
            }
        ],
    }
    return json.dumps(manifest).encode(), {digest(config): config, digest(layer): layer}


class Registry(BaseHTTPRequestHandler):
    """Answers what Docker asks."""

    def do_GET(self) -> None:
        """Send a manifest or a blob."""
        manifest, others = blobs()
        body = others.get(self.path.rpartition("/")[2], manifest if "/manifests/" in self.path else b"{}")
        self.send_response(200)
        self.send_header("Content-Type", KIND if "/manifests/" in self.path else "application/octet-stream")
        self.send_header("Docker-Content-Digest", digest(body))
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  # the name that the server looks for

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
    (PLACE / "pid").write_text(str(os.getpid()), encoding="utf-8")
    (PLACE / "port").write_text(str(server.server_port), encoding="utf-8")
    server.serve_forever()
