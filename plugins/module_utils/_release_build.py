# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a release in its own directory, as its own account, within a limit of time. Private to this collection.

Nothing is shared with another release but the package manager's cache: what a build writes below ``node_modules`` depends on
the sources too, so a copy of another release's would be stale and a hard link would change what serves.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._account import PATH, Account, AccountError, run
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor, secrets_in
from ansible_collections.runbook.ops.plugins.module_utils._release import BUILD, ReleaseError

HOME = ".build-home"
# What each lock file asks for, first come first served.
INSTALLS = {
    "package-lock.json": ["npm", "ci", "--no-audit", "--no-fund"],
    "npm-shrinkwrap.json": ["npm", "ci", "--no-audit", "--no-fund"],
    "pnpm-lock.yaml": ["pnpm", "install", "--frozen-lockfile"],
    "yarn.lock": ["yarn", "install", "--frozen-lockfile"],
}
LINES = 6  # of the end of the log, in the message of a failure
NOISE = re.compile(r"npm (?:warn|WARN) |npm (?:ERR!|error) (?:A complete log|.*debug-\d|code |errno |\s*$)|\s*$")


def steps_for(manifest: Mapping[str, Any] | None, locks: Sequence[str]) -> list[list[str]]:
    """Return what installs and builds an application, from what lies in its directory.

    :param manifest: what is in C(package.json); None where there is none
    :param locks: which of :data:`INSTALLS` lie there, or in a directory above it in the release
    :raises ReleaseError: nothing says which versions are to be installed.
    """
    if manifest is None:
        return []
    lock = next((name for name in INSTALLS if name in locks), None)
    if lock is None and any(manifest.get(key) for key in ("dependencies", "devDependencies", "optionalDependencies")):
        raise ReleaseError(
            "package.json names dependencies and there is no lock file, so that two builds may differ: "
            "commit package-lock.json, or set deploy.build"
        )
    steps = [INSTALLS[lock]] if lock else []
    if "build" in (manifest.get("scripts") or {}):
        steps.append([INSTALLS[lock][0] if lock else "npm", "run", "build"])
    return steps


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """Return what is in C(package.json) of ``directory``; None where there is none.

    :raises ReleaseError: it is no JSON object.
    """
    try:
        content = json.loads((directory / "package.json").read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise ReleaseError(f"package.json of the release cannot be read ({exc}): correct it in the repository") from exc
    if not isinstance(content, dict):
        raise ReleaseError("package.json of the release is no object: correct it in the repository")
    return content


def find_locks(directory: Path, root: Path) -> dict[str, Path]:
    """Return the lock files of the application in ``directory``: its own, or those of a workspace above, up to ``root``."""
    for place in (directory, *directory.parents):
        found = {name: place / name for name in INSTALLS if (place / name).is_file()}
        if found or place == root:
            return found
    return {}


def environment_for(account: Account, releases: str, variables: Mapping[str, str], build: str) -> dict[str, str]:
    """Return the environment of a build: a home and a cache of its own, and what the application has."""
    home = f"{releases}/{HOME}"
    known = {
        **variables,
        "PATH": variables.get("PATH", PATH),
        "HOME": home,
        "USER": account.name,
        "npm_config_cache": f"{home}/npm",
        "npm_config_update_notifier": "false",
        "npm_config_userconfig": f"{account.home}/.npmrc",  # where it has the key of a private registry
        "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
        BUILD: f"{releases}/{build}",
    }
    if variables.get("NODE_ENV") == "production":
        known["npm_config_include"] = "dev"  # what a build needs is mostly there
    return known


def build(
    account: Account,
    directory: str,
    steps: Sequence[Sequence[str]],
    *,
    environment: Mapping[str, str],
    seconds: float,
    log: Path,
) -> float:
    """Run ``steps`` in ``directory``, and return how many seconds it took.

    :raises ReleaseError: one failed, is not installed, or the time was over; the message holds what it said last.
    """
    began = time.monotonic()
    redact = Redactor(found=[secret for name, value in environment.items() for secret in secrets_in(name, value)])
    with log.open("ab", buffering=0) as written:
        log.chmod(0o600)
        for step in steps:
            words = " ".join(step)
            written.write(f"$ {words}\n".encode())
            left = seconds - (time.monotonic() - began)
            # A program by its absolute path finds what lies beside it, such as node beside npm.
            path = f"{Path(step[0]).parent}:{environment['PATH']}" if "/" in step[0] else environment["PATH"]
            try:
                ended = run(
                    account, step, cwd=directory, environment={**environment, "PATH": path}, seconds=left, log=written
                )
            except AccountError as exc:
                raise ReleaseError(f"the build cannot run {words}: {exc}") from exc
            reached("release:step")
            if ended.code is None:
                raise ReleaseError(
                    f"{words} was ended, for the build may take {seconds:.0f} s (deploy.build_timeout); "
                    f"it said last: {_last(ended.output, redact)}"
                )
            if ended.code:
                raise ReleaseError(
                    f"{words} failed ({ended.code}): {_last(ended.output, redact)}; all of it is in {log}"
                )
    return time.monotonic() - began


def versions(account: Account, steps: Sequence[Sequence[str]], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of node and of the programs that ``steps`` run, as far as they tell."""
    found = {}
    for name in sorted({"node", *(step[0] for step in steps)} & {"node", "npm", "pnpm", "yarn"}):
        with suppress(AccountError):
            ended = run(account, [name, "--version"], cwd="/", environment=environment, seconds=20)
            if ended.code == 0 and ended.output.strip():
                found[name] = ended.output.strip().splitlines()[-1].lstrip("v")
    return found


def _last(output: str, redact: Redactor) -> str:
    lines = [line.strip() for line in output.splitlines() if not NOISE.match(line)]
    return redact(" | ".join(lines[-LINES:])) or "it said nothing"
