# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One version of a service that was made ready on a host, and all that is known of it. Private to this collection.

::

    <releases>/<id>/              what was built, REVISION among it
    <state>/releases/<id>.json    what it is; written last, so that a directory without it is never a target
    <state>/releases/<id>.env     the environment it is run with (0600, one JSON object)
    <state>/releases/<id>.begun   stands while it is made or removed: what a killed run has left is found by it

"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import (
    DeployPaths,
    StateError,
    read_json,
    write_json,
)

FORMAT = 1
REVISION = "REVISION"  # Capistrano's name of the file that holds the commit
BUILD = "RUNBOOK_OPS_BUILD"  # in the environment of all that works on making a release: its directory
STAMP = "%Y%m%dT%H%M%SZ"
KINDS = ("git", "artefact", "image", "adopted")
ID = re.compile(r"(?:(?P<stamp>\d{8}T\d{6}Z)-[0-9a-f]{7,12}|adopted(?:-[0-9a-f]{7,12})?)\Z")


class ReleaseError(Exception):
    """A release that cannot be made, read or removed; the message is one line that says what to do."""


class Release(NamedTuple):
    """One whole release: it stays as it is once it is written."""

    id: str
    service: str
    kind: str  # one of KINDS
    path: str | None  # its directory, from which it is run; None for an image
    commit: str | None  # what REVISION holds: the commit in full, or the SHA-256 of the archive
    ref: str | None  # what was asked for: a branch, a tag, a commit, a URL
    image: str | None  # by digest
    package_version: str | None
    process: dict[str, Any]  # the definition it is run by
    environment_sha256: str | None
    lock_sha256: str | None
    migrations: list[str]  # the names that it knows
    built_at: str  # ISO 8601, UTC
    tools: dict[str, str]  # version by name of what built it
    fingerprint: str = ""  # of all that it was made from: the same again is not built again
    size_bytes: int = 0
    files: int = 0


def release_id(at: datetime, source: str) -> str:
    """Return the name of what was begun at ``at`` from the commit or the SHA-256 ``source``.

    :raises ValueError: ``at`` has no time zone, or ``source`` is no hexadecimal number.
    """
    if at.tzinfo is None:
        raise ValueError("the moment of a release needs a time zone")
    name = f"{at.astimezone(timezone.utc).strftime(STAMP)}-{source.rpartition(':')[2][:12]}"
    if not ID.match(name):
        raise ValueError(f"{source!r} cannot name a release: it needs a commit or a SHA-256")
    return name


def next_moment(paths: DeployPaths) -> datetime:
    """Return the moment that the next release is named after: now, but later than all that were begun before.

    So names are in the order of their making, also of two within one second, and after the clock was set back.
    """
    names = [entry.stem for entry in paths.releases.glob("*")]
    stamps = [name.partition("-")[0] for name in names if ID.match(name) and name[0].isdigit()]
    now = datetime.now(timezone.utc)
    if not stamps:
        return now
    last = datetime.strptime(max(stamps), STAMP).replace(tzinfo=timezone.utc)
    return max(now, last + timedelta(seconds=1))


def decode(content: Mapping[str, Any]) -> Release | None:
    """Return the release that ``content`` tells of; None where that is not whole."""
    if content.get("format") != FORMAT or content.get("kind") not in KINDS or not ID.match(str(content.get("id"))):
        return None
    try:
        return Release(**{key: content[key] for key in Release._fields if key in content})
    except TypeError:
        return None


def encode(release: Release) -> dict[str, Any]:
    """Return ``release`` as it is written."""
    return {"format": FORMAT, **release._asdict()}


def load(paths: DeployPaths, name: str) -> Release | None:
    """Return the release ``name``; None where there is none, or where it is not whole any more."""
    try:
        content = read_json(paths.release(name))
    except StateError:
        return None
    found = decode(content) if content is not None else None
    return found if found is not None and found.id == name and _stands(found) else None


def listed(paths: DeployPaths) -> list[Release]:
    """Return the whole releases of a service, oldest first."""
    found = []
    with suppress(FileNotFoundError):
        for entry in paths.releases.iterdir():
            if entry.suffix == ".json" and (release := load(paths, entry.stem)) is not None:
                found.append(release)
    return sorted(found, key=lambda release: (release.built_at, release.id))


def save(paths: DeployPaths, release: Release) -> None:
    """Write that ``release`` is whole: the last thing that is done to one. Hold the lock while you call it.

    :raises StateError: it cannot be written.
    """
    write_json(paths.release(release.id), encode(release))


def package_version(manifest: str) -> str | None:
    """Return the version that the text of a C(package.json) names."""
    with suppress(ValueError):
        content = json.loads(manifest)
        if isinstance(content, Mapping) and content.get("version"):
            return str(content["version"])
    return None


def _stands(release: Release) -> bool:
    """Return whether the directory of ``release`` is there and is its own."""
    if release.path is None:
        return True
    if release.kind == "adopted":
        return Path(release.path).is_dir()
    try:
        return (Path(release.path) / REVISION).read_text("utf-8").strip() == release.commit
    except (OSError, UnicodeDecodeError):
        return False
