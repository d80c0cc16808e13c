# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What npm and pnpm say about outdated and vulnerable dependencies. Private to this collection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check

SECTION = "Dependencies"
LOCKS = {"package-lock.json": "npm", "npm-shrinkwrap.json": "npm", "pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn"}
SEVERITIES = ("info", "low", "moderate", "high", "critical")
REMEDY = "update the lock file in the repository, have it tested, and deploy it: never in the live directory"


class DependenciesError(ValueError):
    """A package manager does not tell; the message is one line that says why."""


def commands(manager: str, directory: str) -> dict[str, list[str]]:
    """Return what is asked, by what it is for. All of it only reads."""
    if manager == "pnpm":
        where = ["--dir", directory]
        return {"outdated": [*where, "outdated", "--format", "json"], "audit": [*where, "audit", "--json"]}
    where = ["--prefix", directory]
    return {"outdated": [*where, "outdated", "--json"], "audit": [*where, "audit", "--json", "--package-lock-only"]}


def parse_outdated(text: str, locked: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what has a newer version: ``name``, ``current``, ``wanted``, ``latest`` and ``major``.

    :param locked: versions in the lock file, for npm tells only what is installed
    :raises DependenciesError: it is no answer.
    """
    said = _read(text)
    found = []
    for name, more in sorted(said.items()):
        # npm gives a list where two parts of a project need it
        one = _object(name, next(iter(more), None) if isinstance(more, list) else more)
        current, latest = one.get("current") or locked.get(name) or one.get("wanted"), one.get("latest")
        if latest and current != latest:
            major = str(current).partition(".")[0] != str(latest).partition(".")[0]
            found.append(
                {"name": name, "current": current, "wanted": one.get("wanted"), "latest": latest, "major": major}
            )
    return found


def parse_audit(text: str) -> list[dict[str, Any]]:
    """Return what is vulnerable, the worst first: ``name``, ``severity``, ``direct``, ``title`` and ``fix``.

    :raises DependenciesError: it is no answer.
    """
    said = _read(text)
    if isinstance(said.get("vulnerabilities"), Mapping):  # npm 7 and later
        found = [_of_npm(name, _object(name, one)) for name, one in said["vulnerabilities"].items()]
    elif isinstance(said.get("advisories"), Mapping):  # pnpm
        found = [_of_pnpm(_object(name, one)) for name, one in said["advisories"].items()]
    else:
        error = said.get("error")
        summary = error.get("summary") if isinstance(error, Mapping) else error
        raise DependenciesError(_first(said.get("message") or summary or "no answer"))
    return sorted(found, key=lambda one: (-SEVERITIES.index(one["severity"]), one["name"]))


def _read(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except ValueError:
        raise DependenciesError(_first(text.strip() or "it said nothing")) from None
    if isinstance(said, dict) and isinstance(said.get("error"), Mapping) and said["error"].get("code"):
        raise DependenciesError(_first(f"{said['error']['code']}: {said['error'].get('summary') or ''}"))
    return _object("it", said)


def _object(name: str, said: Any) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise DependenciesError(_first(f"no answer: {name} is {json.dumps(said)}"))
    return said


def _first(text: str) -> str:
    return (str(text).strip() or "no answer").splitlines()[0][:200]


def _severity(text: Any) -> str:
    return text if text in SEVERITIES else "high"  # an unknown word is no reason to stay quiet


def _of_npm(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    titles = [via["title"] for via in said.get("via") or [] if isinstance(via, Mapping) and via.get("title")]
    fix = said.get("fixAvailable")
    version = f"{fix['name']} {fix['version']}" if isinstance(fix, Mapping) else ("within its range" if fix else None)
    return {
        "name": name,
        "severity": _severity(said.get("severity")),
        "direct": bool(said.get("isDirect")),
        "title": titles[0] if titles else None,
        "fix": version,
    }


def _of_pnpm(said: Mapping[str, Any]) -> dict[str, Any]:
    paths = [path for finding in said.get("findings") or [] for path in finding.get("paths") or []]
    return {
        "name": str(said.get("module_name")),
        "severity": _severity(said.get("severity")),
        "direct": any(path.count(">") == 1 for path in paths),
        "title": said.get("title"),
        "fix": said.get("patched_versions") if said.get("patched_versions") not in (None, "", "<0.0.0") else None,
    }


def locked_versions(text: str) -> dict[str, str]:
    """Return the versions of what a project names itself, by its lock file of npm; nothing for one that cannot be read."""
    try:
        said = json.loads(text)
        packages = {key[len("node_modules/") :]: one for key, one in (said.get("packages") or {}).items() if key}
        return {
            name: str(one["version"])
            for name, one in (packages or said.get("dependencies") or {}).items()
            if "version" in one
        }
    except (ValueError, AttributeError, TypeError):
        return {}


def judge(
    name: str,
    *,
    outdated: Sequence[Mapping[str, Any]] | str,
    vulnerable: Sequence[Mapping[str, Any]] | str,
    level: str,
    limits: Mapping[str, Mapping[str, float | None]],
) -> list[dict[str, Any]]:
    """Return the checks of one service. Where a list is text, it says why it is not known.

    :param level: how severe it must be to be counted
    """
    checks = []
    if isinstance(outdated, str):
        checks.append(_unknown(name, "outdated", "outdated dependencies", outdated))
    else:
        words = [f"{one['name']} {one['current']} → {one['latest']}" for one in outdated]
        checks.append(_counted(name, "outdated", "outdated dependencies", words, limits["outdated"]))
    if isinstance(vulnerable, str):
        checks.append(_unknown(name, "vulnerable", "vulnerable dependencies", vulnerable))
    else:
        counted = [one for one in vulnerable if SEVERITIES.index(one["severity"]) >= SEVERITIES.index(level)]
        words = [f"{one['name']} ({one['severity']}{'' if one['fix'] else ', no fix yet'})" for one in counted]
        checks.append(_counted(name, "vulnerable", "vulnerable dependencies", words, limits["vulnerable"]))
    return checks


def _counted(
    name: str, thing: str, title: str, words: Sequence[str], limits: Mapping[str, float | None]
) -> dict[str, Any]:
    status, limit = judge_high(len(words), limits.get("warning"), limits.get("critical"))
    more = f" and {len(words) - 5} more" if len(words) > 5 else ""
    return make_check(
        f"dependencies:{name}:{thing}",
        name=f"{name} {title}",
        section=SECTION,
        status=status,
        value=len(words),
        unit="packages",
        limit=limit,
        detail=", ".join(words[:5]) + more if words else "none",
        remedy=REMEDY,
    )


def _unknown(name: str, thing: str, title: str, why: str) -> dict[str, Any]:
    return make_check(
        f"dependencies:{name}:{thing}",
        name=f"{name} {title}",
        section=SECTION,
        status="unknown",
        unit="packages",
        detail=f"not known: {why}",
        remedy="ask by hand where the sources are, and see whether the host reaches the registry",
    )
