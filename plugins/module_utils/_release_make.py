# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a release ready: fetch, build, and write last that it is whole. Private to this collection.

Killed anywhere, it leaves a directory without facts, which is no release, and which the next run takes away.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ansible_collections.runbook.ops.plugins.module_utils import _release_image as images
from ansible_collections.runbook.ops.plugins.module_utils import _release_place as place
from ansible_collections.runbook.ops.plugins.module_utils._account import run
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import PROVEN_SECONDS, held, keeping
from ansible_collections.runbook.ops.plugins.module_utils._release import (
    Release,
    ReleaseError,
    listed,
    next_moment,
    release_id,
)
from ansible_collections.runbook.ops.plugins.module_utils._release_clean import begun
from ansible_collections.runbook.ops.plugins.module_utils._release_files import make_directory, repository_of
from ansible_collections.runbook.ops.plugins.module_utils._release_source import COMMIT, Wanted, artefact_of, moved_tags
from ansible_collections.runbook.ops.plugins.module_utils._release_wish import Source, Wish, keep, now

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._slot import Standing


def resolve(wish: Wish) -> Source:
    """Return what the release is made from. Nothing is written; the tag of an image that is not here stays a tag.

    :raises ReleaseError: there is no such version, or it cannot be asked for.
    """
    if wish.kind == "git":
        if wish.place.service.get("manager") == "vercel" and COMMIT.match(wish.version):
            return Source(wish.version, Wanted(wish.version, "commit", wish.version))
        wanted = repository_of(wish).resolve(wish.version)
        return Source(wanted.commit, wanted)
    if wish.kind == "artefact":
        return Source(artefact_of(wish.version)[1])
    found = images.look(images.reference(wish.deploy["image"], wish.version), wish.deploy["image"])
    return Source(found.digest if found else None, image=found)


def warnings(wish: Wish, source: Source) -> list[str]:
    """Return what is worth a look before it is deployed."""
    if source.wanted is None:
        return []
    known = [(release.ref, release.commit) for release in listed(wish.place.paths)]
    return [
        f"the tag {source.wanted.ref} was {one[:12]} when it was last built" for one in moved_tags(source.wanted, known)
    ]


def existing(wish: Wish, source: Source, standing: Standing | None = None) -> Release | None:
    """Return the whole release that was made from the same, in the same way."""
    if source.commit is None:
        return None
    mark = wish.fingerprint(source.commit, standing)
    return next((one for one in reversed(listed(wish.place.paths)) if one.fingerprint == mark), None)


def make(wish: Wish, source: Source) -> Release:
    """Return the release; where only the fetching tells what it is made from, it may be one that was there.

    :raises ReleaseError: it cannot be made; nothing is left of it.
    """
    with keeping(wish.place.fence, lease_seconds=PROVEN_SECONDS):
        if wish.kind == "image":
            return _make_image(wish)
        found = existing(wish, source)
        if found:
            return found
        place.make(wish.account, wish.releases)
        if source.wanted is not None and source.commit is None:
            wanted = repository_of(wish).fetch(source.wanted)
            source = Source(wanted.commit, wanted)
            found = existing(wish, source)
            if found:
                return found
        largest = max(listed(wish.place.paths), key=lambda one: one.size_bytes, default=None)
        size, files = (largest.size_bytes, largest.files) if largest else (0, 0)
        lacking = place.lacks(place.look_at_room(wish.releases), size_bytes=size, files=files)
        if lacking:
            raise ReleaseError(f"no release was begun in {wish.releases}: {lacking}")
        return make_directory(wish, source)


def _make_image(wish: Wish) -> Release:
    found = images.take(wish.deploy["image"], wish.version, lambda wanted: _pull(wish, wanted))
    standing = wish.place.standing(None)
    known = existing(wish, Source(found.digest, image=found), standing)
    if known:
        return known
    paths, at = wish.place.paths, next_moment(wish.place.paths)
    while paths.release(name := release_id(at, found.digest)).exists():
        at += timedelta(seconds=1)
    with held(wish.place.fence):
        begun(paths, name)  # what a killed run has written is found by that
    release = Release(
        id=name,
        service=wish.place.service["name"],
        kind=wish.kind,
        path=None,
        commit=found.commit or found.digest,
        ref=wish.version,
        image=found.reference,
        package_version=found.version,
        process={},
        environment_sha256=None,
        lock_sha256=None,
        migrations=[],
        built_at=now(),
        tools={},
        fingerprint=wish.fingerprint(found.digest, standing),
        size_bytes=found.size_bytes,
    )
    return keep(wish, release, standing)


def _pull(wish: Wish, wanted: str) -> None:
    command = ["docker", "pull", "--quiet", wanted]
    ended = run(wish.account, command, cwd="/", environment={}, seconds=wish.seconds)
    if ended.code is None:
        raise ReleaseError(f"docker pull {wanted} did not end in {wish.seconds:.0f} s: look at the network")
    if ended.code:
        said = (ended.output.strip().splitlines() or ["it said nothing"])[-1]
        raise ReleaseError(f"docker pull {wanted} failed: {said}; look at the registry and who may read it")
