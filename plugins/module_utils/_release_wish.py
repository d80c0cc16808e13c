# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is to be made from, where, and by whom. Private to this collection."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._account import Account, account_of
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, held
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths, remove, write_json
from ansible_collections.runbook.ops.plugins.module_utils._environment_file import read_environment
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._release import Release, ReleaseError, save
from ansible_collections.runbook.ops.plugins.module_utils._release_clean import begun_path, releases_of
from ansible_collections.runbook.ops.plugins.module_utils._release_image import Found
from ansible_collections.runbook.ops.plugins.module_utils._release_ledger import note
from ansible_collections.runbook.ops.plugins.module_utils._release_source import Wanted, fingerprint

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._slot import Standing


class Source(NamedTuple):
    """What it is made from, as far as it is known."""

    commit: str | None  # the SHA-256 of an artefact, the digest of an image
    wanted: Wanted | None = None  # of Git
    image: Found | None = None


class Place(NamedTuple):
    """The service and the host on which it is deployed."""

    service: Mapping[str, Any]  # as the role system describes it
    paths: DeployPaths
    fence: Fence
    run: str | None
    standing: Callable[[str | None], Standing]  # returns how a directory, or an image, is run
    image_build: Callable[[str], Mapping[str, Any] | None] = lambda _directory: None  # and how Compose builds its image


class Wish(NamedTuple):
    """A release that is to be made ready, and all that is known before anything is asked."""

    place: Place
    version: str
    deploy: Mapping[str, Any]
    source: Mapping[str, Any]
    account: Account
    releases: str
    variables: dict[str, str]
    seconds: float

    @property
    def kind(self) -> str:
        return str(self.deploy["kind"])

    def fingerprint(self, source: str, standing: Standing | None = None) -> str:
        """Return what it has in common with a release that was made from the same in the same way.

        :param standing: how Compose runs it, where that is known: it lies on the host, and changes without the release
        :raises SlotError: the Compose file does not say how it is run.
        """
        service = self.place.service
        if service.get("manager") != "compose":
            return fingerprint(service, source, sha256_of(self.variables))
        standing = standing or self.place.standing(None)
        environment = sha256_of({**standing.environment, **self.variables})
        return fingerprint(service, source, environment, standing.process)


def deploy_of(service: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how a service is deployed.

    :raises ReleaseError: it is not deployed here.
    """
    found: Mapping[str, Any] | None = service.get("deploy")
    if not found:
        raise ReleaseError(f"{service['name']} has no deploy in the description: describe how it is deployed")
    return found


def is_kept(service: Mapping[str, Any]) -> bool:
    """Return whether releases of ``service`` lie on this host: those at Vercel only for the sake of their migrations."""
    return service.get("manager") != "vercel" or bool(service["deploy"].get("migration"))


def wish_of(place: Place, version: str) -> Wish:
    """Return the wish for ``version``.

    :raises ReleaseError: the service is not deployed here.
    :raises AccountError: its account is not there.
    :raises ValueError: its variables cannot be read.
    """
    service, deploy = place.service, deploy_of(place.service)
    file = deploy.get("environment_file")
    image = deploy["kind"] == "image"
    return Wish(
        place,
        version,
        deploy,
        service.get("source") or {},
        account_of(None if image else service.get("user")),
        "" if image or not is_kept(service) else releases_of(service),
        read_environment(file) if file else {},
        float(deploy["build_timeout_seconds"]),
    )


def keep(wish: Wish, release: Release, standing: Standing) -> Release:
    """Write the variables, then the facts: only with those is it a release.

    :raises LockError: somebody has taken the lock over.
    :raises StateError: it cannot be written.
    """
    paths, fence = wish.place.paths, wish.place.fence
    variables = {**standing.environment, **wish.variables}
    release = release._replace(environment_sha256=sha256_of(variables), process=standing.process)
    with held(fence):
        write_json(paths.environment(release.id), variables)
    reached("release:variables")
    with held(fence):
        save(paths, release)
    reached("release:saved")
    note(paths, fence, "built", release.id, run=wish.place.run)
    remove(begun_path(paths, release.id))
    return release


def sha256_of(variables: Mapping[str, str]) -> str:
    """Return what two sets of variables have in common that are the same."""
    return hashlib.sha256(json.dumps(variables, sort_keys=True).encode()).hexdigest()


def now() -> str:
    """Return this moment as releases write it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
