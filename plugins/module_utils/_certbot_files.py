# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read certbot's lineages from its files. Private to this collection."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._certbot import Lineage, describe, renewal_values
from ansible_collections.runbook.ops.plugins.module_utils._x509 import X509Error, parse_certificate, pem_to_der

LINKS = ("cert.pem", "chain.pem", "fullchain.pem", "privkey.pem")


class CertbotError(Exception):
    """The lineages cannot be read, or one is missing."""


class Known(NamedTuple):
    """A lineage with all that its renewal depends on."""

    found: dict[str, Any]  # as describe() returns it
    values: dict[str, str]  # what its renewal file sets
    issued: list[datetime]  # when its certificates were made out, with the names of the present one; the oldest first


def entries(directory: Path) -> list[Path]:
    """Return what ``directory`` holds; nothing where there is none. One that may not be read is not an empty one."""
    try:
        return list(directory.iterdir())
    except FileNotFoundError:
        return []


def lineages_of(config: Path) -> list[str]:
    """Return the names of the lineages, of those too of which only a part is there."""
    live = [entry.name for entry in entries(config / "live") if entry.is_dir()]
    renewals = [entry.stem for entry in entries(config / "renewal") if entry.suffix == ".conf"]
    return sorted({*live, *renewals})


def observe(config: Path, name: str, *, openssl: Callable[..., str] | None) -> Lineage:
    """Return the files of the lineage ``name``."""
    live, renewal = config / "live" / name, config / "renewal" / f"{name}.conf"
    lineage = Lineage(name)
    lineage.renewal = renewal.read_text(encoding="utf-8", errors="replace") if renewal.is_file() else None
    lineage.dangling = [link for link in LINKS if (live / link).is_symlink() and not (live / link).exists()]
    for attribute, link in (("certificate", "cert.pem"), ("fullchain", "fullchain.pem")):
        if (live / link).is_file():
            setattr(lineage, attribute, (live / link).read_text(encoding="ascii", errors="replace"))
    key = live / "privkey.pem"
    if key.is_file():
        lineage.key_mode = stat.S_IMODE(key.stat().st_mode)
        # An empty password, for keys have none: without it openssl would ask, and wait.
        public = openssl("pkey", "-in", str(key), "-pubout", "-passin", "pass:", accept=(0, 1)) if openssl else ""
        halves = pem_to_der(public, "PUBLIC KEY")
        lineage.key_fingerprint = hashlib.sha256(halves[0]).hexdigest() if halves else None
    return lineage


def know(config: Path, name: str, *, now: datetime) -> Known:
    """Return the lineage ``name`` with all that its renewal depends on."""
    lineage = observe(config, name, openssl=None)
    found = describe(lineage, now=now)
    return Known(found, renewal_values(lineage.renewal or ""), _issued(config / "archive" / name, found["domains"]))


def _issued(archive: Path, domains: list[str]) -> list[datetime]:
    found = []
    for path in entries(archive):
        if path.name.startswith("cert") and path.suffix == ".pem":
            try:
                certificate = parse_certificate(pem_to_der(path.read_text(encoding="ascii", errors="replace"))[0])
            except (X509Error, IndexError):
                continue
            if sorted(certificate["names"]) == sorted(domains):
                found.append(certificate["not_before"])
    return sorted(found)
