# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificates a host serves, from its description and from what certbot has. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COMMANDS = ("test_command", "reload_command")


def served(
    described: Sequence[Mapping[str, Any]],
    lineages: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    directory: str,
) -> list[dict[str, Any]]:
    """Return what has to be served, described or not; a lineage that is not there is named elsewhere.

    :raises ValueError: it is not said which file one is served from, or there is none of a name.
    """
    known = {one["name"]: one for one in described}
    here = {one["name"]: one for one in lineages}
    for name in names:
        if name not in known and name not in here:
            there = ", ".join(sorted({*known, *here})) or "none"
            raise ValueError(
                f"there is no certificate {name!r} on this host (there is {there}): correct certificates_names"
            )
    found = []
    for name in sorted({*known, *here}):
        if (names and name not in names) or (name not in here and known[name]["renewed_by"] == "certbot"):
            continue
        one = known.get(name, {})
        path = one.get("path") or (f"{directory}/live/{name}/fullchain.pem" if name in here else None)
        if path is None:
            raise ValueError(f"ops_certificates has {name!r}, which is not renewed by certbot: say its path")
        found.append(
            {
                "name": name,
                "path": path,
                "domains": list(one.get("domains") or here[name]["domains"]),
                "served_at": list(one.get("served_at") or []),
                "address": one.get("address"),
                **{key: list(one.get(key) or []) for key in COMMANDS},
            }
        )
    return found
