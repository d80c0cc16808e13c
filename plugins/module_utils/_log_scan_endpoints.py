# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request asks for, without what varies in it. Private to this collection."""

from __future__ import annotations

import re

METHODS = b"GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|PROPFIND|CONNECT|TRACE"
REQUEST = re.compile(rb"(" + METHODS + rb") ([^ ]*)(?: HTTP/[\d.]+)?")
# Begun by a sign that always stands there: so it is found fast.
VARIES = re.compile(
    rb"/(?:\d+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,}|(?=[\w-]*\d)[\w-]{20,})(?=[/.]|$)", re.IGNORECASE
)
NO_REQUEST = "(no request)"
LONGEST = 120  # signs of an endpoint's name


def endpoint_of(request: bytes) -> str:
    """Return method and path of a request without what varies in it: ``GET /users/:id``."""
    found = REQUEST.match(request)
    if found is None:
        return NO_REQUEST
    path = VARIES.sub(b"/:id", found[2].partition(b"?")[0].rstrip(b"\r")[: 4 * LONGEST])
    return f"{found[1].decode()} {path.decode('utf-8', 'replace')}"[:LONGEST]


def path_of(request: bytes) -> bytes:
    """Return the path of a request as it was asked for, without its query."""
    parts = request.split(b" ", 2)
    return (parts[1] if len(parts) > 1 else request).partition(b"?")[0][:LONGEST]
