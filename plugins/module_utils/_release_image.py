# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take an image by its digest, so that a tag that moves changes nothing. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, ask
from ansible_collections.runbook.ops.plugins.module_utils._release import ReleaseError

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
IMAGE = re.compile(r"[a-z0-9][a-zA-Z0-9._:/-]*\Z")
REVISION, VERSION = "org.opencontainers.image.revision", "org.opencontainers.image.version"


class Found(NamedTuple):
    """An image on this host."""

    reference: str  # by digest: it names this image and no other, for ever
    digest: str
    commit: str | None
    version: str | None
    size_bytes: int


def reference(image: str, version: str) -> str:
    """Return how ``version``, a tag or a digest, of ``image`` is asked for.

    :raises ReleaseError: it is neither.
    """
    if not IMAGE.match(image):
        raise ReleaseError(f"{image!r} is no name of an image: correct deploy.image")
    if DIGEST.match(version):
        return f"{image}@{version}"
    if TAG.match(version):
        return f"{image}:{version}"
    raise ReleaseError(f"{version!r} is no tag and no digest of {image}: look for a typing error")


def parse(said: Mapping[str, Any], image: str) -> Found:
    """Return what the engine says of an image.

    One that never came from a registry has no digest there, and is named by its own number.
    """
    digests = {one.rpartition("@")[0]: one for one in said.get("RepoDigests") or []}
    exact = digests.get(image) or next((one for name, one in digests.items() if name.endswith(f"/{image}")), said["Id"])
    labels = (said.get("Config") or {}).get("Labels") or {}
    return Found(exact, exact.rpartition("@")[2], labels.get(REVISION), labels.get(VERSION), int(said.get("Size") or 0))


def look(wanted: str, image: str) -> Found | None:
    """Return the image ``wanted`` as it is on this host; None where it is not.

    :raises ReleaseError: Docker does not tell.
    """
    try:
        return parse(ask(f"/images/{quote(wanted, safe='/:@')}/json"), image)
    except DockerError as exc:
        if "(404)" in str(exc):
            return None
        raise ReleaseError(f"{exc}; look at it with systemctl status docker") from exc


def take(image: str, version: str, pull: Callable[[str], None]) -> Found:
    """Have the image here, and return it. One that was built on this host is not asked for elsewhere.

    :param pull: fetches a reference, or raises ReleaseError
    :raises ReleaseError: it is not to be had.
    """
    wanted = reference(image, version)
    here = look(wanted, image)
    local = here is not None and DIGEST.match(here.reference)
    if not local and not (here and DIGEST.match(version)):
        pull(wanted)
        here = look(wanted, image)
    if here is None:
        raise ReleaseError(f"{wanted} was fetched and is not here: look at it with docker image ls")
    return here
