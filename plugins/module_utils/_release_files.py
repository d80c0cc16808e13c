# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that is a directory: sources, build, and what is known of it. Private to this collection."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from ansible_collections.runbook.ops.plugins.module_utils import _release_artefact as artefact
from ansible_collections.runbook.ops.plugins.module_utils import _release_build as builder
from ansible_collections.runbook.ops.plugins.module_utils import _release_compose as compose
from ansible_collections.runbook.ops.plugins.module_utils import _release_place as place
from ansible_collections.runbook.ops.plugins.module_utils._account import acting_as
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import LockError, held
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._release import (
    REVISION,
    Release,
    ReleaseError,
    next_moment,
    package_version,
    release_id,
)
from ansible_collections.runbook.ops.plugins.module_utils._release_clean import begun, forget
from ansible_collections.runbook.ops.plugins.module_utils._release_git import Repository
from ansible_collections.runbook.ops.plugins.module_utils._release_source import artefact_of
from ansible_collections.runbook.ops.plugins.module_utils._release_wish import Source, Wish, keep, now

LOGS = 10  # how many logs of builds stay


def repository_of(wish: Wish) -> Repository:
    """Return the repository of a service.

    :raises ReleaseError: it is not described, or not safe to hand to Git.
    """
    if not wish.source.get("repository"):
        raise ReleaseError(f"{wish.place.service['name']} has no source.repository: describe where it comes from")
    return Repository(wish.account, wish.source["repository"], wish.releases, seconds=min(wish.seconds, 600.0))


def make_directory(wish: Wish, source: Source) -> Release:
    """Return a new release, fetched and built.

    :raises ReleaseError: it cannot be made; nothing is left of it.
    """
    paths, at = wish.place.paths, next_moment(wish.place.paths)
    while _is_taken(wish, name := release_id(at, source.commit or "")):
        at += timedelta(seconds=1)
    root = Path(wish.releases, name)
    with held(wish.place.fence):
        begun(paths, name)
    reached("release:noted")
    try:
        acting_as(wish.account, lambda: root.mkdir(mode=0o755))
        reached("release:begun")
        where = _fill(wish, source, str(root))
        reached("release:filled")
        return _finish(wish, source, root, Path(where))
    except LockError:
        raise  # whoever has the lock now takes away what is left
    except Exception:
        with suppress(ReleaseError):  # then the next run takes it away
            forget(paths, wish.account, wish.releases, name)
        raise


def _is_taken(wish: Wish, name: str) -> bool:
    return os.path.lexists(f"{wish.releases}/{name}") or wish.place.paths.release(name).exists()


def _fill(wish: Wish, source: Source, root: str) -> str:
    """Write the sources, and return the directory of the application."""
    if source.wanted is not None:
        repository = repository_of(wish)
        repository.fetch(source.wanted)
        repository.export(source.commit or "", root)
        where = root
    else:
        where = acting_as(wish.account, lambda: _unpack(wish, root))
    below = wish.source.get("subdirectory") or "."
    found = os.path.realpath(f"{where}/{below}")
    if not f"{found}/".startswith(f"{os.path.realpath(root)}/") or not Path(found).is_dir():
        raise ReleaseError(f"{wish.version} has no directory {below}: correct source.subdirectory")
    return found


def _unpack(wish: Wish, root: str) -> str:
    at, sha256 = artefact_of(wish.version)
    archive = Path(f"{root}.artefact")
    try:
        artefact.fetch(at, sha256, str(archive), seconds=wish.seconds)
        return artefact.unpack(str(archive), root)
    finally:
        archive.unlink(missing_ok=True)


def _finish(wish: Wish, source: Source, root: Path, where: Path) -> Release:
    """Build it, and write down what it is."""
    name, commit = root.name, source.commit or ""
    manifest = builder.read_manifest(where)
    locks = builder.find_locks(where, root)
    if wish.place.service.get("manager") == "vercel":  # which builds it: here only its migrations run
        manifest = {**manifest, "scripts": {}} if manifest else manifest
    is_compose = wish.place.service.get("manager") == "compose"  # its image installs what it needs
    steps = [list(step["run"]) for step in wish.deploy["build"]]
    steps = steps or ([] if is_compose else builder.steps_for(manifest, list(locks)))
    environment = builder.environment_for(wish.account, wish.releases, wish.variables, name)
    home = Path(environment["HOME"])
    acting_as(wish.account, lambda: home.mkdir(mode=0o700, exist_ok=True))
    log = _log(wish, name)
    took = builder.build(wish.account, str(where), steps, environment=environment, seconds=wish.seconds, log=log)
    reached("release:built")
    standing = wish.place.standing(str(where))
    acting_as(wish.account, lambda: _write_revision({root, where}, commit))
    image = _build_image(wish, root, where, commit, seconds=wish.seconds - took, log=log) if is_compose else None
    size, files = place.measure(wish.account, str(root))
    release = Release(
        id=name,
        service=wish.place.service["name"],
        kind=wish.kind,
        path=str(where),
        commit=commit,
        ref=wish.version,
        image=image,
        package_version=package_version(json.dumps(manifest)),
        process={},
        environment_sha256=None,
        lock_sha256=_sha256(locks),
        migrations=_migrations(wish, where),
        built_at=now(),
        tools=builder.versions(wish.account, steps, environment),
        fingerprint=wish.fingerprint(commit),
        size_bytes=size,
        files=files,
    )
    place.settle(str(root))
    return keep(wish, release, standing)


def _build_image(wish: Wish, root: Path, where: Path, commit: str, *, seconds: float, log: Path) -> str:
    service = wish.place.service
    plan = compose.plan_of(
        wish.place.image_build(str(where)), project=service["path"], where=str(where), root=str(root)
    )
    return compose.build(
        plan, service=service["name"], release=root.name, commit=commit, directory=str(root), seconds=seconds, log=log
    )


def _write_revision(directories: set[Path], commit: str) -> None:
    for directory in directories:
        (directory / REVISION).unlink(missing_ok=True)  # it may have come with the sources
        (directory / REVISION).write_text(f"{commit}\n")


def _migrations(wish: Wish, where: Path) -> list[str]:
    """Return the names of the migrations that it knows: directories of Prisma, or files of SQL."""
    below = wish.source.get("migrations")
    if not below or not (where / below).is_dir():
        return []
    entries = sorted((where / below).iterdir())
    return [one.name for one in entries if one.suffix == ".sql" or (one / "migration.sql").is_file()]


def _sha256(locks: Mapping[str, Path]) -> str | None:
    if not locks:
        return None
    return hashlib.sha256(b"".join(locks[name].read_bytes() for name in sorted(locks))).hexdigest()


def _log(wish: Wish, name: str) -> Path:
    logs = wish.place.paths.directory / "builds"
    logs.mkdir(mode=0o700, exist_ok=True)
    for old in sorted(logs.glob("*.log"))[: -LOGS + 1]:
        old.unlink()
    return logs / f"{name}.log"
