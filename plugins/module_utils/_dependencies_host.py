# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask npm and pnpm about a copy of a project's lock file, so that nothing is written where it lives. Private to this collection."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._dependencies import (
    LOCKS,
    DependenciesError,
    commands,
    locked_versions,
    parse_audit,
    parse_outdated,
)
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, StateError
from ansible_collections.runbook.ops.plugins.module_utils._live_state import read_live
from ansible_collections.runbook.ops.plugins.module_utils._release import ReleaseError, load

MANIFEST = "package.json"
ANSWERS = tuple(range(124)) + tuple(range(128, 256))  # npm ends with many numbers, and says on the way what was wrong
BESIDE = (".npmrc",)  # which registry a project takes its packages from


class Project(NamedTuple):
    """What a service was made from."""

    directory: Path
    lock: str | None
    manager: str | None


def find(service: Mapping[str, Any], deploys: str) -> Project | None:
    """Return the project of what is live of ``service``; None where it has no ``package.json``."""
    for directory in _places(service, deploys):
        if (directory / MANIFEST).is_file():
            lock = next((name for name in LOCKS if (directory / name).is_file()), None)
            return Project(directory, lock, LOCKS[lock] if lock else None)
    return None


def _places(service: Mapping[str, Any], deploys: str) -> Iterator[Path]:
    below = (service.get("source") or {}).get("subdirectory") or "."
    try:
        paths = DeployPaths(str(service["name"]), root=deploys)
        live = read_live(paths)
        release = load(paths, live.release) if live and live.release else None
        if release and release.path:
            yield Path(release.path, below)
            yield Path(release.path)
    except (StateError, ReleaseError, ValueError):
        pass  # then what is described counts
    if service.get("path"):
        yield Path(service["path"], below)
        yield Path(service["path"])


def _is_handed_over(owner: os.stat_result) -> bool:
    return owner.st_uid != os.geteuid() and os.geteuid() == 0


def _read(path: Path, owner: os.stat_result) -> bytes:
    """Return what ``path`` holds, which its account will read: a link of it to what is root's alone must not lead there.

    :raises OSError: it is no file that the account may read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        said = os.fstat(handle)
        shared = said.st_mode & 0o004 or (said.st_gid == owner.st_gid and said.st_mode & 0o040)
        theirs = said.st_uid == owner.st_uid or shared or not _is_handed_over(owner)
        if not stat.S_ISREG(said.st_mode) or not theirs:
            raise PermissionError(errno.EACCES, "no file of the account that the directory belongs to", str(path))
        return file.read()


@contextmanager
def copied(project: Project, base: str | None) -> Iterator[tuple[Path, str | None]]:
    """Have a copy of what names the dependencies, and return it with the account that it belongs to; None is our own."""
    owner = project.directory.stat()
    place = Path(tempfile.mkdtemp(prefix="runbook-dependencies-", dir=base))
    try:
        for name in (MANIFEST, project.lock, *BESIDE):
            if name and os.path.lexists(project.directory / name):
                (place / name).write_bytes(_read(project.directory / name, owner))
                (place / name).chmod(0o600)
        user = None
        if _is_handed_over(owner):
            user = pwd.getpwuid(owner.st_uid).pw_name
            for path in (place, *place.iterdir()):
                os.chown(path, owner.st_uid, owner.st_gid)
        yield place, user
    finally:
        shutil.rmtree(place, ignore_errors=True)


def ask(
    module: Any, project: Project, *, timeout_seconds: float
) -> tuple[list[dict[str, Any]] | str, list[dict[str, Any]] | str]:
    """Return what is outdated and what is vulnerable; text where it is not known, and why."""
    if project.lock is None or project.manager is None:
        why = f"{project.directory} has no lock file"
        return why, why
    if project.manager == "yarn":
        why = f"{project.directory} has a lock file of yarn, which is not asked"
        return why, why
    try:
        with copied(project, None) as (place, user):
            lock = (place / project.lock).read_text("utf-8", errors="replace")
            run = _program(module, project.manager, place, user, timeout_seconds)
            asked = commands(project.manager, str(place))
            return (
                _answer(lambda: parse_outdated(run(*asked["outdated"], accept=ANSWERS), locked_versions(lock))),
                _answer(lambda: parse_audit(run(*asked["audit"], accept=ANSWERS))),
            )
    except (CommandError, OSError, KeyError) as exc:
        return str(exc), str(exc)


def _answer(question: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]] | str:
    try:
        return question()
    except CommandError as exc:
        return "it did not answer in time" if exc.details.get("rc") == 124 else str(exc)
    except DependenciesError as exc:
        return str(exc)


def _program(module: Any, name: str, place: Path, user: str | None, timeout_seconds: float) -> Command:
    if module.get_bin_path(name, opt_dirs=["/usr/local/bin"]) is None:
        raise CommandError(f"{name} is not installed on this host")
    home = pwd.getpwnam(user).pw_dir if user else str(Path.home())
    environment = {
        "HOME": str(place),
        "npm_config_userconfig": f"{home}/.npmrc",
        "npm_config_cache": str(place / "cache"),
        "npm_config_fetch_retries": "1",
        "npm_config_fetch_retry_mintimeout": "1000",
        "npm_config_update_notifier": "false",
        "npm_config_ignore_scripts": "true",
        "NO_COLOR": "1",
    }
    return Command(module, name, user=user, within=["timeout", f"{timeout_seconds:g}"], environment=environment)
