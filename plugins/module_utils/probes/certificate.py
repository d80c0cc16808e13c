# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate as it is served: valid, trusted, and the one on disk. Private to this collection."""

from __future__ import annotations

import os
import socket
import time
from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_low, make_check
from ansible_collections.runbook.ops.plugins.module_utils._http import explain, secure
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._x509 import X509Error, parse_certificate, pem_to_der

SECTION = "Certificates"
OPTIONS = {
    "served_at": Option("str", "host:port at which it is served", required=True),
    "server_name": Option("str", "name to ask for; without it the host of served_at"),
    "domains": Option("list", "names that it must be valid for; without it the name asked for", []),
    "days": Option("limits", "days until it expires", limits(30, 7)),
    "path": Option("str", "file it is served from; compared where the file exists"),
    "address": Option("str", "address or name to connect to instead of the host of served_at"),
    "verify": Option("bool", "check that the chain is trusted", True),
    "ca_path": Option("str", "file of certificates to trust instead of the system's store"),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the certificate that is served, why it is not trusted if so, and the fingerprint of the one on disk."""
    host, colon, port = options["served_at"].rpartition(":")
    if not colon or not port.isdigit():
        raise ProbeError(f"served_at is {options['served_at']!r}, not host:port", "correct served_at")
    name = options["server_name"] or host.strip("[]")
    place = (options["address"] or host.strip("[]"), int(port))
    deadline = time.monotonic() + options["timeout_seconds"]
    distrust = None
    try:
        der = _served(place, name, deadline, verify=options["verify"], ca_path=options["ca_path"])
    except OSError as exc:
        if not hasattr(exc, "verify_message"):
            return {"error": explain(exc)}
        distrust = exc.verify_message
        try:
            der = _served(place, name, deadline, verify=False, ca_path=None)
        except OSError as again:
            return {"error": explain(again)}
    try:
        certificate = parse_certificate(der)
        on_disk = _on_disk(options["path"])
    except X509Error as exc:
        raise ProbeError(str(exc)) from exc
    return {
        "error": None,
        "distrust": distrust,
        "name": name,
        "names": certificate["names"],
        "fingerprint": certificate["fingerprint_sha256"],
        "expires_at": certificate["not_after"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "days_left": round((certificate["not_after"] - datetime.now(timezone.utc)).total_seconds() / 86400, 1),
        "disk": on_disk,
    }


def _served(place: tuple[str, int], name: str, deadline: float, *, verify: bool, ca_path: str | None) -> bytes:
    left = max(0.01, deadline - time.monotonic())
    plain = socket.create_connection(place, timeout=left)
    with plain, secure(plain, name, verify=verify, ca_path=ca_path) as connection:
        return connection.getpeercert(binary_form=True)


def _on_disk(path: str | None) -> str | None:
    if not path or not os.path.exists(path):  # noqa: PTH110  # spares an import
        return None
    with open(path, encoding="ascii", errors="replace") as file:  # noqa: PTH123  # spares an import
        return parse_certificate(pem_to_der(file.read())[0])["fingerprint_sha256"]


def covers(name: str, names: list[str]) -> bool:
    """Return whether a certificate for ``names`` is valid for ``name``; a star stands for one whole label."""
    wanted = name.lower().rstrip(".")
    known = {known.lower() for known in names}
    return wanted in known or ("." in wanted and f"*.{wanted.partition('.')[2]}" in known)


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check: the worst that is true of it."""
    place = options["served_at"]
    status, limit, days, remedy = "critical", options["days"]["critical"], None, None
    if measured["error"]:
        detail = f"{place}: {measured['error']}"
        remedy = f"see what is served: openssl s_client -connect {place}"
    else:
        days = measured["days_left"]
        missing = [name for name in options["domains"] or [measured["name"]] if not covers(name, measured["names"])]
        stale = measured["disk"] not in (None, measured["fingerprint"])
        status, limit = judge_low(days, **options["days"])
        detail = f"valid until {measured['expires_at'][:10]}"
        remedy = "renew it: certbot renew"
        if days < 0:
            status, detail = "critical", f"expired on {measured['expires_at'][:10]}"
        elif missing:
            status, detail, remedy = "critical", f"not valid for {', '.join(missing)}", "issue it for all of its names"
        elif measured["distrust"]:
            status, detail = "critical", f"not trusted: {measured['distrust']}"
            remedy = "serve the whole chain (fullchain.pem) of a certificate from a trusted authority"
        elif stale:
            status = "critical" if status == "critical" else "warning"
            detail = f"{detail}; {options['path']} holds another one, which is not served"
            remedy = "have the server load it: nginx -t, then systemctl reload nginx"
    return [
        make_check(
            f"certificate:{options['name'] or place}",
            name=options["name"] or place,
            section=options["section"],
            status=status,
            value=days,
            unit="days",
            limit=limit,
            detail=detail,
            remedy=remedy,
        )
    ]
