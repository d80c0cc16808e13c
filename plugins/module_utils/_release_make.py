# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a release ready: fetch, build, and write last that it is whole. Private to this collection.

Killed anywhere, it leaves a directory without facts, which is no release, and which the next run takes away.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils import _release_artefact as artefact
from ansible_collections.runbook.ops.plugins.module_utils import _release_build as builder
from ansible_collections.runbook.ops.plugins.module_utils import _release_image as images
from ansible_collections.runbook.ops.plugins.module_utils import _release_place as place
from ansible_collections.runbook.ops.plugins.module_utils._account import (
    Account,
    AccountError,
    account_of,
    acting_as,
    run,
)
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, held, keeping
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, remove, write_json
from ansible_collections.runbook.ops.plugins.module_utils._environment_file import read_environment
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._release import (
    REVISION,
    Release,
    ReleaseError,
    listed,
    package_version,
    release_id,
    save,
)
from ansible_collections.runbook.ops.plugins.module_utils._release_clean import begun, begun_path, forget, releases_of
from ansible_collections.runbook.ops.plugins.module_utils._release_git import Repository
from ansible_collections.runbook.ops.plugins.module_utils._release_ledger import note
from ansible_collections.runbook.ops.plugins.module_utils._release_source import (
    Wanted,
    artefact_of,
    fingerprint,
    moved_tags,
)

LOGS = 10  # how many logs of builds stay


class Wish(NamedTuple):
    """What is to be made ready."""

    service: Mapping[str, Any]  # as the role system describes it
    version: str
    fence: Fence
    run: str | None = None
    sha256: str | None = None  # of an artefact


class Source(NamedTuple):
    """What it is made from, as far as it is known."""

    commit: str | None  # the SHA-256 of an artefact, the digest of an image
    wanted: Wanted | None = None  # of Git
    image: images.Found | None = None


class Maker:
    """Makes releases of one service on this host."""

    def __init__(self, wish: Wish, paths: DeployPaths, standing: Any) -> None:
        """Prepare.

        :param standing: returns how a directory or an image is run: ``_slot.standing_of`` with all but the directory
        :raises ReleaseError: the service is not deployed here.
        """
        if not wish.service.get("deploy"):
            raise ReleaseError(f"{wish.service['name']} has no deploy in the description: describe how it is deployed")
        self.wish, self.paths, self._standing = wish, paths, standing
        self.deploy: Mapping[str, Any] = wish.service["deploy"]
        self.kind = self.deploy["kind"]
        self.account: Account = account_of(None if self.kind == "image" else wish.service.get("user"))
        self.releases = releases_of(wish.service)
        file = self.deploy.get("environment_file")
        self.variables = read_environment(file) if file else {}
        self.seconds = float(self.deploy["build_timeout_seconds"])
        self.checks: list[str] = []  # what is worth a warning

    def resolve(self) -> Source:
        """Return what the release is made from. Nothing is written; a tag of an image may stay a tag.

        :raises ReleaseError: there is no such version, or it cannot be asked for.
        """
        if self.kind == "git":
            wanted = self._repository().resolve(self.wish.version)
            known = [(release.ref, release.commit) for release in listed(self.paths)]
            self.checks += [
                f"the tag {wanted.ref} was {one[:12]} when it was last built" for one in moved_tags(wanted, known)
            ]
            return Source(wanted.commit, wanted)
        if self.kind == "artefact":
            return Source(artefact_of(self.wish.version, self.wish.sha256)[1])
        found = images.look(images.reference(self.deploy["image"], self.wish.version), self.deploy["image"])
        return Source(found.digest if found else None, image=found)

    def existing(self, source: Source) -> Release | None:
        """Return the whole release that was made from the same, in the same way."""
        if source.commit is None or (self.kind == "image" and source.image is None):
            return None
        mark = self._fingerprint(source.commit)
        return next((one for one in reversed(listed(self.paths)) if one.fingerprint == mark), None)

    def make(self, source: Source) -> Release:
        """Return the release, fetched and built; for a Git tag or an image that was not here yet, it may be one that existed.

        :raises ReleaseError: it cannot be made; nothing is left of it.
        """
        with keeping(self.wish.fence):
            if self.kind == "image":
                return self._make_image()
            place.make(self.account, self.releases)
            if source.wanted is not None and source.commit is None:
                wanted = self._repository().fetch(source.wanted)
                source = Source(wanted.commit, wanted)
                if found := self.existing(source):
                    return found
            last = max(listed(self.paths), key=lambda one: one.size_bytes, default=None)
            size, files = (last.size_bytes, last.files) if last else (0, 0)
            if why := place.lacks(place.look_at_room(self.releases), size_bytes=size, files=files):
                raise ReleaseError(f"no release was begun in {self.releases}: {why}")
            assert source.commit is not None  # noqa: S101
            return self._make_directory(source)

    def _make_directory(self, source: Source) -> Release:
        commit = source.commit or ""
        began = datetime.now(timezone.utc)
        name = release_id(began, commit)
        root = Path(self.releases, name)
        with held(self.wish.fence):
            begun(self.paths, name)
        reached("release:noted")
        acting_as(self.account, lambda: root.mkdir(mode=0o755))
        reached("release:begun")
        try:
            where = self._fill(source, str(root))
            reached("release:filled")
            return self._finish(name, root, Path(where), source)
        except (ReleaseError, AccountError):
            forget(self.paths, self.account, self.releases, name)
            raise

    def _fill(self, source: Source, root: str) -> str:
        """Write the sources, and return the directory of the application."""
        if source.wanted is not None:
            repository = self._repository()
            repository.fetch(source.wanted)
            repository.export(source.commit or "", root)
            where = root
        else:
            at, sha256 = artefact_of(self.wish.version, self.wish.sha256)
            archive = f"{root}/.artefact.partial"

            def unpack() -> str:
                artefact.fetch(at, sha256, archive, seconds=self.seconds)
                with open(archive, "rb"):  # noqa: PTH123
                    os.rename(archive, f"{root}.artefact")  # noqa: PTH104
                try:
                    return artefact.unpack(f"{root}.artefact", root)
                finally:
                    os.unlink(f"{root}.artefact")  # noqa: PTH108

            where = acting_as(self.account, unpack)
        below = (self.wish.service.get("source") or {}).get("subdirectory") or "."
        found = os.path.realpath(os.path.join(where, below))  # noqa: PTH118
        if not (found + "/").startswith(os.path.realpath(root) + "/") or not Path(found).is_dir():
            raise ReleaseError(f"{source.commit} has no directory {below}: correct source.subdirectory")
        return found

    def _finish(self, name: str, root: Path, where: Path, source: Source) -> Release:
        manifest = builder.read_manifest(where)
        locks = builder.find_locks(where, root)
        described = [list(step["run"]) for step in self.deploy["build"]]
        steps = described or builder.steps_for(manifest, list(locks))
        environment = builder.environment_for(self.account, self.releases, self.variables, name)
        home = Path(environment["HOME"])
        acting_as(self.account, lambda: home.mkdir(mode=0o700, exist_ok=True))
        builder.build(
            self.account, str(where), steps, environment=environment, seconds=self.seconds, log=self._log(name)
        )
        reached("release:built")
        standing = self._standing(str(where))
        self._write_revision({root, where}, source.commit or "")
        size, files = place.measure(self.account, str(root))
        release = Release(
            id=name,
            service=self.wish.service["name"],
            kind=self.kind,
            path=str(where),
            commit=source.commit,
            ref=self.wish.version,
            image=None,
            package_version=package_version(json.dumps(manifest)),
            process=standing.process,
            environment_sha256=None,
            lock_sha256=_sha256(locks),
            migrations=self._migrations(where),
            built_at=_now(),
            tools=builder.versions(self.account, steps, environment),
            fingerprint=self._fingerprint(source.commit or ""),
            size_bytes=size,
            files=files,
        )
        place.settle(str(root))
        return self._save(release, {**standing.environment, **self.variables})

    def _make_image(self) -> Release:
        found = images.take(self.deploy["image"], self.wish.version, self._pull)
        source = Source(found.digest, image=found)
        if known := self.existing(source):
            return known
        standing = self._standing(None)
        release = Release(
            id=release_id(datetime.now(timezone.utc), found.digest),
            service=self.wish.service["name"],
            kind=self.kind,
            path=None,
            commit=found.commit or found.digest,
            ref=self.wish.version,
            image=found.reference,
            package_version=found.version,
            process=standing.process,
            environment_sha256=None,
            lock_sha256=None,
            migrations=[],
            built_at=_now(),
            tools={},
            fingerprint=self._fingerprint(found.digest),
            size_bytes=found.size_bytes,
        )
        return self._save(release, {**standing.environment, **self.variables})

    def _save(self, release: Release, variables: Mapping[str, str]) -> Release:
        """Write the variables, then the ledger, then the facts: only with those is it a release."""
        digest = hashlib.sha256(json.dumps(variables, sort_keys=True).encode()).hexdigest()
        release = release._replace(environment_sha256=digest)
        with held(self.wish.fence):
            write_json(self.paths.environment(release.id), dict(variables))
        reached("release:variables")
        with held(self.wish.fence):
            save(self.paths, release)
        reached("release:saved")
        remove(begun_path(self.paths, release.id))
        note(self.paths, self.wish.fence, "built", release.id, run=self.wish.run)
        return release

    def _write_revision(self, directories: set[Path], commit: str) -> None:
        def write() -> None:
            for directory in directories:
                (directory / REVISION).unlink(missing_ok=True)  # it may have been in the repository
                (directory / REVISION).write_text(f"{commit}\n")

        acting_as(self.account, write)

    def _migrations(self, where: Path) -> list[str]:
        """Return the names of the migrations that it knows: directories of Prisma, or files of SQL."""
        below = (self.wish.service.get("source") or {}).get("migrations")
        if not below or not (where / below).is_dir():
            return []
        entries = sorted((where / below).iterdir())
        return [one.name for one in entries if one.suffix == ".sql" or (one / "migration.sql").is_file()]

    def _repository(self) -> Repository:
        return Repository(
            self.account, self.wish.service["source"]["repository"], self.releases, seconds=min(self.seconds, 600.0)
        )

    def _fingerprint(self, source: str) -> str:
        variables = hashlib.sha256(json.dumps(self.variables, sort_keys=True).encode()).hexdigest()
        return fingerprint(self.wish.service, source, variables)

    def _pull(self, wanted: str) -> None:
        ended = run(self.account, ["docker", "pull", "--quiet", wanted], cwd="/", environment={}, seconds=self.seconds)
        if ended.code:
            said = (ended.output.strip().splitlines() or ["it said nothing"])[-1]
            raise ReleaseError(f"docker pull {wanted} failed: {said}; look at the registry and who may read it")
        if ended.code is None:
            raise ReleaseError(f"docker pull {wanted} did not end in {self.seconds:.0f} s: look at the network")

    def _log(self, name: str) -> Path:
        logs = self.paths.directory / "builds"
        logs.mkdir(mode=0o700, exist_ok=True)
        for old in sorted(logs.glob("*.log"))[: -LOGS + 1]:
            old.unlink()
        return logs / f"{name}.log"


def _sha256(locks: Mapping[str, Path]) -> str | None:
    if not locks:
        return None
    return hashlib.sha256(b"".join(locks[name].read_bytes() for name in sorted(locks))).hexdigest()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
