# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read certbot's lineages from its files. Private to this collection."""

from __future__ import annotations

import hashlib
import re
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._certbot import Lineage, describe, renewal_values
from ansible_collections.runbook.ops.plugins.module_utils._x509 import X509Error, parse_certificate, pem_to_der

LINKS = ("cert.pem", "chain.pem", "fullchain.pem", "privkey.pem")
VERSION = re.compile(r"\d*(?=\.pem$)")
LOOKS, LOOK_SECONDS = 3, 0.2  # certbot takes each link away before it makes it anew


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


def observe(
    config: Path, name: str, *, openssl: Callable[..., str] | None, wait: Callable[[float], None] = time.sleep
) -> Lineage:
    """Return the files of the lineage ``name``. One whose links are about to be changed is looked at again."""
    live = config / "live" / name
    for look in range(LOOKS):
        if look:
            wait(LOOK_SECONDS)
        before = [_target(live / link) for link in LINKS]
        lineage = _observe(config, name, openssl)
        if before == [_target(live / link) for link in LINKS] and _is_settled(before):
            break
    return lineage


def _target(path: Path) -> str | None:
    """Return where a link points; nothing for a file, None where there is neither."""
    try:
        return str(path.readlink()) if path.is_symlink() else "" if path.exists() else None
    except FileNotFoundError:
        return None


def _is_settled(targets: list[str | None]) -> bool:
    """Return whether all is there, and of the same version: ``privkey3.pem`` goes with ``cert3.pem``."""
    found = [VERSION.search(target) for target in targets if target]
    return None not in targets and len({version[0] for version in found if version}) <= 1


def _observe(config: Path, name: str, openssl: Callable[..., str] | None) -> Lineage:
    live, renewal = config / "live" / name, config / "renewal" / f"{name}.conf"
    lineage = Lineage(name, renewal=_read(renewal, "utf-8"))
    lineage.dangling = [link for link in LINKS if (live / link).is_symlink() and not (live / link).exists()]
    lineage.certificate, lineage.fullchain = (_read(live / link, "ascii") for link in ("cert.pem", "fullchain.pem"))
    key = live / "privkey.pem"
    with suppress(FileNotFoundError):
        mode = key.stat().st_mode
        lineage.key_mode = stat.S_IMODE(mode) if stat.S_ISREG(mode) else None
    if lineage.key_mode is not None:
        # An empty password, for keys have none: without it openssl would ask, and wait.
        public = openssl("pkey", "-in", str(key), "-pubout", "-passin", "pass:", accept=(0, 1)) if openssl else ""
        halves = pem_to_der(public, "PUBLIC KEY")
        lineage.key_fingerprint = hashlib.sha256(halves[0]).hexdigest() if halves else None
    return lineage


def _read(path: Path, encoding: str) -> str | None:
    with suppress(FileNotFoundError):
        return path.read_text(encoding=encoding, errors="replace") if path.is_file() else None
    return None


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
