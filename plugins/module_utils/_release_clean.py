# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take away releases that are not needed, and what killed runs have left of others. Private to this collection.

Only what this service has begun is ever taken away: another service may keep its releases in the same directory.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _release_compose as compose
from ansible_collections.runbook.ops.plugins.module_utils import _release_place as place
from ansible_collections.runbook.ops.plugins.module_utils._account import Account, AccountError, account_of, end_marked
from ansible_collections.runbook.ops.plugins.module_utils._account import run as run_program
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, held
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import (
    DeployPaths,
    StateError,
    remove,
    write_json,
)
from ansible_collections.runbook.ops.plugins.module_utils._deploy_work import working
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._live_state import read_live
from ansible_collections.runbook.ops.plugins.module_utils._release import BUILD, Release, ReleaseError, listed, load
from ansible_collections.runbook.ops.plugins.module_utils._release_keep import Kept, choose
from ansible_collections.runbook.ops.plugins.module_utils._release_ledger import events, note

OTHERS_SECONDS = 30.0  # how long another call may still be at it
ENDING_SECONDS = 10.0  # how long a killed build may take to be gone
MENTION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{7,12}|adopted(?:-[0-9a-f]{7,12})?")


def releases_of(service: Mapping[str, Any]) -> str:
    """Return the directory of the releases of a service.

    :raises ReleaseError: the description does not say where.
    """
    found = (service.get("deploy") or {}).get("releases") or (
        f"{service['path']}.releases" if service.get("path") else None
    )
    if found is None:
        raise ReleaseError(f"{service['name']} has no path: describe it, or deploy.releases")
    return str(found).rstrip("/")


@contextmanager
def alone(paths: DeployPaths, fence: Fence) -> Iterator[None]:
    """Keep all others on this host from making or removing releases of the same service.

    One whose controller is gone, and whose lock changed hands since, is waited for, and ended where it does not notice.

    :raises ReleaseError: another one is at it.
    """
    paths.make()
    with ExitStack() as stack:
        try:
            stack.enter_context(working(paths, seconds=OTHERS_SECONDS, fence=fence, lock=paths.build_lock))
        except StateError as exc:
            raise ReleaseError(f"releases are being made or removed: {exc}") from exc
        yield


def begun_path(paths: DeployPaths, name: str) -> Path:
    """Return the file that stands while a release is made or removed."""
    return paths.release(name).with_suffix(".begun")


def begun(paths: DeployPaths, name: str) -> None:
    """Write that the release ``name`` is made, or removed, from now on. Hold the lock while you call it.

    :raises StateError: it cannot be written.
    """
    write_json(begun_path(paths, name), {"pid": os.getpid()})


def partial(paths: DeployPaths) -> list[str]:
    """Return what a killed run has left of releases, unless something that serves names it."""
    names = sorted(entry.stem for entry in paths.releases.glob("*.begun"))
    kept = named(paths)
    return [name for name in names if load(paths, name) is None and name not in kept]


def remove_partial(paths: DeployPaths, service: Mapping[str, Any], fence: Fence) -> list[str]:
    """Take away what killed runs have left, and return what. What a process works in stays."""
    releases, names = releases_of(service), partial(paths)
    busy = place.worked_in(releases, names) if names else {}
    for name in names:
        if name not in busy:
            with held(fence):
                remove(paths.release(name))
            _remove_built(service, name)
            forget(paths, account_of(_user(service)), releases, name)
    known = {event["release"] for event in events(paths)}
    for file in paths.releases.glob("*.begun"):
        if load(paths, file.stem) is not None:  # it became whole, and its run was killed right after that
            if file.stem not in known:
                note(paths, fence, "built", file.stem)
            remove(file)
    return [name for name in names if name not in busy]


def forget(paths: DeployPaths, account: Account, releases: str, name: str) -> None:
    """Delete the directory and the variables of something that is no release, or is none any more."""
    deadline = time.monotonic() + ENDING_SECONDS
    while end_marked(f"{releases}/{name}", variable=BUILD) and time.monotonic() < deadline:
        time.sleep(0.02)  # until it is gone it may still write
    place.remove(account, releases, name)
    remove(paths.environment(name))
    remove(begun_path(paths, name))


def named(paths: DeployPaths) -> set[str]:
    """Return the releases that the live slot, a journal or the files of a slot name.

    :raises ReleaseError: one of them cannot be read, so that nothing may be taken away.
    """
    files = [paths.live, paths.journal, *(one for one in paths.slots.rglob("*") if one.is_file())]
    found: set[str] = set()
    for file in files:
        try:
            found |= set(MENTION.findall(file.read_text("utf-8", errors="replace")))
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise ReleaseError(f"cannot read {file} ({exc.strerror}): nothing was removed") from exc
    return found


def look(paths: DeployPaths, service: Mapping[str, Any], keep: int) -> Kept:
    """Return which releases of a service stay, and which may go.

    :raises ReleaseError: it cannot be seen what serves.
    """
    releases = listed(paths)
    names = [one.id for one in releases if one.kind != "adopted"]
    try:
        live = read_live(paths)
    except ValueError as exc:
        raise ReleaseError(str(exc)) from exc
    running = place.worked_in(releases_of(service), names) if any(one.path for one in releases) else {}
    return choose(
        names, events(paths), live=live.release if live else None, named=named(paths), running=running, keep=keep
    )


def prune(
    paths: DeployPaths, service: Mapping[str, Any], fence: Fence, names: list[str], run: str | None
) -> list[Release]:
    """Remove the releases ``names``, and return them. Killed in between, the next run finishes it."""
    gone = []
    for name in names:
        release = load(paths, name)
        if release is None:
            continue
        note(paths, fence, "pruned", name, run=run)  # first: from here on it is no target
        reached("release:pruning")
        with held(fence):
            begun(paths, name)
        with held(fence):
            remove(paths.release(name))
        reached("release:unlisted")
        forget(paths, account_of(_user(service)), releases_of(service), name)
        gone.append(release)
        _remove_built(service, name)
        # Another one that was built here cannot be fetched again, and may be somebody's.
        if release.image and "@" in release.image and release.image not in {one.image for one in listed(paths)}:
            _remove_image(release.image)
    return gone


def _remove_built(service: Mapping[str, Any], name: str) -> None:
    if service.get("manager") == "compose" and service["deploy"]["kind"] != "image":
        compose.remove(service["name"], name)


def _remove_image(image: str) -> None:
    """Remove an image that no release names; what a container was made from stays, for the engine refuses that."""
    with suppress(AccountError):
        run_program(account_of(None), ["docker", "image", "rm", image], cwd="/", environment={}, seconds=60)


def _user(service: Mapping[str, Any]) -> str | None:
    return None if service["deploy"]["kind"] == "image" else service.get("user")
