# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What shows that a host is in use, so that nothing may be recovered on it. Private to this collection."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.runbook.ops.plugins.module_utils import _recovery_docker as docker

KEPT = "/var/lib/runbook-ops"
# What is in here is somebody's, as a rule; none of it comes back by a recovery of this collection.
OTHERS = (
    *("/var/lib/mysql", "/var/lib/mongodb", "/var/lib/redis"),
    *("/var/lib/containers/storage", "/var/lib/lxc", "/var/lib/libvirt/images"),
)
FIRST_OWN_OID = 16384  # databases below it belong to PostgreSQL itself


def evidence(paths: Iterable[str], *, root: Path = Path("/"), own: Path = Path(KEPT)) -> list[str]:
    """Return what shows that a host is in use, one phrase each; nothing is changed.

    :param paths: what would be restored
    :param root: where the file system of the host is
    :param own: where recoveries are kept, which is no sign of use
    """
    found = [f"{path} is there" for path in paths if _is_used(_below(root, path))]
    kept = _below(root, KEPT)
    if kept.is_dir():
        others = [one for one in sorted(kept.iterdir()) if Path(KEPT) / one.name != own and not _is_of_recoveries(one)]
        found += [f"{KEPT}/{one.name} is there" for one in others]
    found += [f"{cluster} holds databases" for cluster in clusters_with_data(root)]
    found += [f"{path} is not empty" for path in OTHERS if path not in paths and _is_used(_below(root, path))]
    sites = sorted(_below(root, "/etc/nginx/sites-enabled").glob("*"))
    found += [f"/{one.relative_to(root)} is there" for one in sites if one.name != "default"]
    units = sorted(_below(root, "/etc/systemd/system").glob("*.service"))
    found += [f"/{one.relative_to(root)} is there" for one in units if one.is_file() and not one.is_symlink()]
    for home in (*sorted(_below(root, "/home").glob("*/.pm2")), _below(root, "/root/.pm2")):
        if home.exists():
            found.append(f"/{home.relative_to(root)} is there")
    return found + docker.in_use(root)


def clusters_with_data(root: Path = Path("/")) -> list[str]:
    """Return the directories of PostgreSQL's clusters that hold databases of somebody."""
    return [
        f"/{base.parent.relative_to(root)}"
        for base in sorted(_below(root, "/var/lib/postgresql").glob("*/*/base"))
        if any(one.name.isdigit() and int(one.name) >= FIRST_OWN_OID for one in base.iterdir())
    ]


def _is_of_recoveries(kept: Path) -> bool:
    """Return whether these are records, and of nothing but recoveries, or a lock: such a run opens its own, and locks, before it looks."""
    if kept.name == "change":
        return all(one.name in ("lock", "lock.json") for one in kept.iterdir())
    return kept.name == "runs" and all("-disaster_recovery" in one.name for one in kept.glob("*.json"))


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _is_used(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        return any(path.iterdir())
    return os.path.lexists(path)
