# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which updates are installed, how, and how to get back. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check

SECTION = "Updates"
# A question about a changed configuration file must not stop it: the file of the host stays, the package's lies beside it.
INSTALL = (
    *("install", "--yes", "--only-upgrade", "--no-remove"),
    *("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"),
)
# What a package would have written to a configuration file that somebody has changed.
LATER = (".dpkg-dist", ".ucf-dist")
UNIT = re.compile(r"[A-Za-z0-9@_.:*\\-]+")  # with a star for more than one, as systemctl takes it
MARK = "# runbook.ops: "
# What policy() writes: the process for which it is in force, and when that began.
HELD = re.compile(rf"{MARK}.*?/proc/(\d+)/stat;.*? = (\d+) \]", re.DOTALL)
# What `dpkg --configure -a` finishes.
UNFINISHED = frozenset(("unpacked", "half-configured", "triggers-awaited", "triggers-pending"))


class AptError(ValueError):
    """It cannot be installed; the message is one line and says what to do."""


def choose(
    updates: Iterable[Mapping[str, Any]], *, select: str, exclude: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the updates that are ``wanted``, and those that are ``held`` or ``excluded`` though they would be.

    :param select: ``security`` or ``all``
    :param exclude: patterns of names
    """
    found: dict[str, list[dict[str, Any]]] = {"wanted": [], "held": [], "excluded": []}
    for update in updates:
        if select == "all" or update["security"]:
            out = _is_out(update, exclude)
            found["held" if update["held"] else "excluded" if out else "wanted"].append(dict(update))
    return found


def _is_out(update: Mapping[str, Any], exclude: Iterable[str]) -> bool:
    return any(fnmatchcase(update["name"], pattern) for pattern in exclude)


def command(wanted: Iterable[Mapping[str, Any]], *, lock_timeout_seconds: int, simulate: bool = False) -> list[str]:
    """Return the arguments of ``apt-get`` that install exactly these versions."""
    how = (
        ["--simulate", "-o", "Debug::NoLocking=1"]
        if simulate
        else ["-o", f"DPkg::Lock::Timeout={lock_timeout_seconds}"]
    )
    return [*INSTALL, *how, *(f"{update['name']}={update['available']}" for update in wanted)]


def refuse(simulated: Mapping[str, Any], held: Iterable[str], exclude: Sequence[str] = ()) -> None:
    """Refuse what goes beyond updates.

    :param simulated: as :func:`_apt.parse_simulation` returns it
    :param exclude: patterns of names
    :raises AptError: packages would be removed, or one that is on hold or excluded be changed.
    """
    if simulated["removed"]:
        raise AptError(
            f"these updates would remove {', '.join(simulated['removed'][:5])}: name what asks for it in exclude, or do it by hand"
        )
    touched = sorted(set(held) & {update["name"] for update in simulated["updates"]})
    if touched:
        raise AptError(
            f"these updates would change {', '.join(touched[:5])}, which is on hold: name what asks for it in exclude"
        )
    asked = [update["name"] for update in simulated["updates"] if _is_out(update, exclude)]
    if asked:
        raise AptError(
            f"these updates need {', '.join(asked[:5])}, which is excluded: exclude what asks for it too, or let it be updated"
        )


def parse_versions(text: str) -> dict[str, set[str]]:
    """Return the versions that archives have by name, as ``apt-cache madison`` prints them."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        parts = [part.strip() for part in line.split("|")]
        if len(parts) == 3:
            found.setdefault(parts[0], set()).add(parts[1])
    return found


def way_back(updates: Iterable[Mapping[str, Any]], versions: Mapping[str, set[str]]) -> dict[str, Any]:
    """Return the ``command`` that installs the old versions again, and those that are ``missing``: no archive has them any more."""
    there: list[str] = []
    missing: list[str] = []
    for update in updates:
        name = update["name"].partition(":")[0]
        known = versions.get(update["name"]) or versions.get(name) or set()
        (there if update["installed"] in known else missing).append(f"{update['name']}={update['installed']}")
    line = f"apt-get install --allow-downgrades {' '.join(there)}" if there else None
    return {"command": line, "missing": missing}


def as_change(update: Mapping[str, Any], missing: Iterable[str]) -> dict[str, Any]:
    """Return the record of one update."""
    old = f"{update['name']}={update['installed']}"
    back = (
        "no archive has the old version any more"
        if old in missing
        else f"way back: apt-get install --allow-downgrades {old}"
    )
    return make_change(
        f"package {update['name']}",
        action="upgraded",
        section=SECTION,
        reason=f"{'security update' if update['security'] else 'update'}; {back}",
        before=update["installed"],
        after=update["available"],
    )


def as_new(name: str) -> dict[str, Any]:
    """Return the record of a package that an update needs."""
    return make_change(f"package {name}", action="installed", section=SECTION, reason="an update needs it")


def judge(
    chosen: Mapping[str, Sequence[Mapping[str, Any]]],
    back: Mapping[str, Any],
    configuration: Sequence[str],
    select: str,
) -> list[dict[str, Any]]:
    """Return the checks: updates that were left out, those without a way back, configuration to look at.

    :param configuration: files that packages would have written, and that lie beside the host's own
    """
    left = [*chosen["held"], *chosen["excluded"]]
    words = [f"{update['name']} ({'held' if update['held'] else 'excluded'})" for update in left]
    missing = back["missing"]
    return [
        make_check(
            "updates:left-out",
            name="Updates left out",
            section=SECTION,
            status="warning" if any(update["security"] for update in left) else "ok",
            value=len(left),
            unit="packages",
            detail=_some(words) or f"none of {'the security updates' if select == 'security' else 'all'}",
            remedy="read what they fix; apt-mark unhold, or take them out of exclude",
        ),
        make_check(
            "updates:way-back",
            name="Updates without a way back",
            section=SECTION,
            status="ok",
            value=len(missing),
            unit="packages",
            detail=f"no archive has {_some(missing)} any more" if missing else "none",
        ),
        make_check(
            "updates:configuration",
            name="Configuration of packages",
            section=SECTION,
            status="warning" if configuration else "ok",
            value=len(configuration),
            unit="files",
            detail=_some(configuration) or "nothing to compare",
            remedy="compare each with the file without that ending, take over what is needed, and remove it",
        ),
    ]


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "")


def policy(units: Iterable[str], pid: int, started: str) -> str:
    """Return the script by which packages ask whether they may act on a service: not on ``units``, while process ``pid`` lives.

    All instances of a template go with it: packages of PostgreSQL stop ``postgresql@15-*`` and start ``postgresql``, and one without
    the other would leave it stopped.

    :param started: when the process began, as its ``stat`` has it: after a kill another one may have its number
    :raises AptError: one is no name of a unit.
    """
    names = sorted({unit[:-8] if unit.endswith(".service") else unit for unit in units})
    wrong = [name for name in names if not UNIT.fullmatch(name)]
    if wrong:
        raise AptError(f"{wrong[0]!r} is no name of a unit: correct hold_services")
    bases = sorted({name.partition("@")[0] for name in names})
    cases = "|".join(f"{base}|{base}.service|{base}@*" for base in bases)
    return (
        f"#!/bin/sh\n{MARK}these services are restarted afterwards, one by one; void once process {pid} has ended.\n"
        f"unit=$1\n{{ read -r stat < /proc/{pid}/stat; }} 2>/dev/null || exit 0\n"
        f'set -- ${{stat##*) }}\n[ "$1" != Z ] && [ "${{20}}" = {started} ] || exit 0\n'
        f'case "$unit" in\n{cases}) exit 101 ;;\nesac\nexit 0\n'
    )
