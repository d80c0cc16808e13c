# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certbot's files say about its lineages. Private to this collection.

certbot takes its lock even to list certificates, so a listing fails while a renewal runs, and a renewal fails that
starts while somebody lists. Its files say the same, and more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES, judge_low, make_check
from ansible_collections.runbook.ops.plugins.module_utils._x509 import X509Error, parse_certificate, pem_to_der

SECTION = "Certificates"
RENEWAL_KEYS = ("authenticator", "installer", "server", "key_type")


@dataclass
class Lineage:
    """The files of one lineage, as they were found; None is a file that is not there."""

    name: str
    renewal: str | None = None
    certificate: str | None = None
    fullchain: str | None = None
    key_mode: int | None = None  # permission bits of the private key
    key_fingerprint: str | None = None  # SHA-256 of its public half; None: not looked at
    dangling: list[str] = field(default_factory=list)  # links in live/ that point nowhere


def renewal_values(text: str) -> dict[str, str]:
    """Return what a renewal file sets, at its top and in ``[renewalparams]``; what is None or empty is not set."""
    values: dict[str, str] = {}
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]") if not line.startswith("[[") else "[[]]"
        elif section in ("", "renewalparams") and "=" in line and not line.startswith("#"):
            key, _equals, value = line.partition("=")
            values[key.strip()] = value.strip()
    return {key: value for key, value in values.items() if value not in ("None", "")}


def parse_renewal(text: str) -> dict[str, str | None]:
    """Return how a lineage is renewed, from its renewal file: authenticator, installer, server and key type."""
    values = renewal_values(text)
    return {key: values.get(key) for key in RENEWAL_KEYS}


def describe(lineage: Lineage, *, now: datetime) -> dict[str, Any]:
    """Return everything that is known of ``lineage``, and what is wrong with it under ``problems``."""
    problems = [f"{name} points to a file that is not there" for name in lineage.dangling]
    certificate: dict[str, Any] = {}
    chain = 0
    if lineage.certificate is None:
        problems.append("there is a renewal file but no certificate in live")
    else:
        try:
            certificate = parse_certificate(pem_to_der(lineage.certificate)[0])
            chain = len(pem_to_der(lineage.fullchain or "")) - 1
        except (X509Error, IndexError) as exc:
            problems.append(f"cert.pem cannot be read: {exc if isinstance(exc, X509Error) else 'it holds none'}")
        if chain < 1:
            problems.append("fullchain.pem holds no chain")
        if lineage.renewal is None:
            problems.append("there is no renewal file: it will not be renewed")
        problems += _key_problems(lineage, certificate.get("public_key_sha256"))
    expires_at = certificate.get("not_after")
    return {
        "name": lineage.name,
        "domains": certificate.get("names", []),
        "issuer": certificate.get("issuer"),
        "serial": certificate.get("serial"),
        "fingerprint_sha256": certificate.get("fingerprint_sha256"),
        "valid_from": _iso(certificate.get("not_before")),
        "expires_at": _iso(expires_at),
        "days_left": math.floor((expires_at - now).total_seconds() / 86_400) if expires_at else None,
        "chain_certificates": max(chain, 0),
        "key_present": lineage.key_mode is not None,
        "key_mode": None if lineage.key_mode is None else f"{lineage.key_mode:04o}",
        **parse_renewal(lineage.renewal or ""),
        "problems": problems,
    }


def _key_problems(lineage: Lineage, expected: str | None) -> list[str]:
    if lineage.key_mode is None:
        return ["there is no private key"]
    problems = []
    if lineage.key_mode & 0o007:
        problems.append(f"everybody on the host may read the private key (mode {lineage.key_mode:04o})")
    if expected and lineage.key_fingerprint not in (None, expected):
        problems.append("the private key is not that of the certificate")
    return problems


def _iso(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def judge(
    certificates: Sequence[dict[str, Any]], *, warning: float | None, critical: float | None
) -> list[dict[str, Any]]:
    """Return one check for each of ``certificates``; the limits are days left."""
    checks = []
    for certificate in certificates:
        days, problems = certificate["days_left"], certificate["problems"]
        status, limit = ("critical", critical) if days is None else judge_low(days, warning, critical)
        if days is not None and days < 0:
            status = "critical"
        if problems:
            status = max(status, "warning", key=STATUSES.index)
        expiry = "" if days is None else f"expired {-days} days ago" if days < 0 else f"{days} days left"
        checks.append(
            make_check(
                f"certificate:{certificate['name']}",
                name=f"Certificate {certificate['name']}",
                section=SECTION,
                status=status,
                value=days,
                unit="days",
                limit=limit,
                detail="; ".join(filter(None, [expiry, *problems])),
                remedy=f"see why it was not renewed: certbot renew --dry-run --cert-name {certificate['name']}",
            )
        )
    return checks
