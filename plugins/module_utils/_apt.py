# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt would upgrade, and whether a kernel waits for a reboot. Private to this collection.

``apt list`` warns that its output is not stable. ``apt-get --simulate`` is meant for scripts: apt-get(8) describes its
lines ``Inst name [from] (to origins [architecture])``, which have been the same for many releases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES, judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

# Locks are for who changes something: a simulation must neither wait for them nor need root. Held packages are asked
# for too, because a hold hides a security update like any other.
SIMULATE = ("--simulate", "-o", "Debug::NoLocking=1", "--ignore-hold", "dist-upgrade")
SHOW_HOLDS = ("showhold",)
INSTALL = re.compile(
    r"Inst (?P<name>\S+)(?: \[(?P<installed>[^]]*)\])? \((?P<to>\S+) ?(?P<origins>[^[]*?) ?\[[^]]*\]\)"
)
REMOVE = re.compile(r"(?:Remv|Purg) (?P<name>\S+)(?: \[(?P<installed>[^]]*)\])?")
DAY = 86_400


def parse_simulation(text: str, held: Iterable[str] = ()) -> dict[str, Any]:
    """Return ``updates`` (name, installed and available version, origins, security, held), ``new`` and ``removed``.

    :param held: names of the packages on hold
    """
    holds, updates, new, removed = set(held), [], [], []
    for line in text.splitlines():
        found, gone = INSTALL.match(line), REMOVE.match(line)
        if gone:
            removed.append(gone["name"])
        elif found and found["installed"] is None:
            new.append(found["name"])
        elif found:
            origins = [origin for origin in found["origins"].split(", ") if origin]
            updates.append(
                {
                    "name": found["name"],
                    "installed": found["installed"],
                    "available": found["to"],
                    "origins": origins,
                    "security": any(map(is_security, origins)),
                    "held": found["name"] in holds,
                }
            )
    updates.sort(key=lambda update: (not update["security"], update["name"]))
    return {"updates": updates, "new": sorted(new), "removed": sorted(removed)}


def is_security(origin: str) -> bool:
    """Return whether ``origin``, such as ``Debian-Security:12/oldstable-security``, publishes security updates."""
    label, _colon, rest = origin.partition(":")
    return label.lower().endswith("-security") or rest.partition("/")[2].lower().endswith("-security")


def newest_kernel(running: str, installed: Iterable[str]) -> str | None:
    """Return the newest of the ``installed`` kernel releases that is of the flavour of the ``running`` one.

    ``6.12.48+deb13-cloud-amd64`` has the flavour ``cloud-amd64``; one of another flavour is not what would boot next.
    """
    alike = [release for release in installed if _flavour(release) == _flavour(running)]
    return max(alike, key=_version, default=None)


def is_newer(release: str, than: str) -> bool:
    """Return whether the kernel ``release`` is newer."""
    return _version(release) > _version(than)


def _version(release: str) -> list[int]:
    numbers = release[: len(release) - len(_flavour(release))]
    return [int(number) for number in re.findall(r"\d+", numbers)]


def _flavour(release: str) -> str:
    parts = release.split("-")
    while parts and parts[0][:1].isdigit():
        del parts[0]
    return "-".join(parts)


def judge_updates(
    measured: Mapping[str, Any],
    *,
    pending: Mapping[str, float | None],
    security: Mapping[str, float | None],
    index_age_days: Mapping[str, float | None],
    section: str,
    refresh_error: str | None = None,
) -> list[dict[str, Any]]:
    """Return the checks of pending updates, of security updates among them, and of the package index.

    :param measured: ``updates`` of :func:`parse_simulation`, and ``index_age_seconds``, None without an index
    :param refresh_error: why the index could not be refreshed just now
    """
    updates = measured["updates"]
    checks = []
    for identity, name, wanted, limits in (
        ("security", "Security updates", [update for update in updates if update["security"]], security),
        ("pending", "Pending updates", updates, pending),
    ):
        status, limit = judge_high(len(wanted), limits.get("warning"), limits.get("critical"))
        checks.append(
            make_check(
                f"updates:{identity}",
                name=name,
                section=section,
                status=status,
                value=len(wanted),
                unit="packages",
                limit=limit,
                detail=_listed(wanted),
                remedy="read what they change, then install them in a maintenance window: apt-get upgrade",
            )
        )
    return [*checks, _judge_index(measured["index_age_seconds"], index_age_days, refresh_error, section)]


def _listed(updates: Sequence[Mapping[str, Any]]) -> str:
    words = [update["name"] + (" (held)" if update["held"] else "") for update in updates[:5]]
    more = f" and {len(updates) - 5} more" if len(updates) > 5 else ""
    return ", ".join(words) + more if words else "none"


def _judge_index(
    age_seconds: float | None, limits: Mapping[str, float | None], refresh_error: str | None, section: str
) -> dict[str, Any]:
    status, limit, value = "warning", limits.get("warning"), None
    detail = "there is none: pending updates cannot be known"
    if age_seconds is not None:
        value = round(max(0.0, age_seconds) / DAY, 1)
        status, limit = judge_high(value, limits.get("warning"), limits.get("critical"))
        detail = f"refreshed {human_duration(max(0, round(age_seconds)))} ago"
    if refresh_error:
        status = max(status, "warning", key=STATUSES.index)
        detail = f"cannot be refreshed ({' '.join(refresh_error.split()).rstrip(': ')}); {detail}"
    return make_check(
        "updates:index",
        name="Package index",
        section=section,
        status=status,
        value=value,
        unit="days",
        limit=limit,
        detail=detail,
        remedy="run apt-get update and see which mirror does not answer; the list above is as old as the index",
    )


def judge_reboot(measured: Mapping[str, Any], *, section: str) -> dict[str, Any]:
    """Return the check of a pending reboot from what the probe ``reboot`` measured."""
    reasons = []
    if measured["required"]:
        asked = ", ".join(measured["packages"]) or "a package"
        reasons.append(f"asked for by {asked}")
    running, newest = measured["running_kernel"], measured["newest_kernel"]
    if newest and is_newer(newest, running):
        reasons.append(f"kernel {running} runs, {newest} is installed")
    return make_check(
        "reboot",
        name="Reboot",
        section=section,
        status="warning" if reasons else "ok",
        value=bool(reasons),
        detail="; ".join(reasons) or "none pending",
        remedy="reboot in a maintenance window; until then the fixes are installed but do not run",
    )
