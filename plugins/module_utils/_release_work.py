# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module release does: look, decide, make or remove, and tell. Private to this collection."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _release_make as maker
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.module_utils._release import ReleaseError, listed
from ansible_collections.runbook.ops.plugins.module_utils._release_clean import (
    alone,
    look,
    partial,
    prune,
    remove_partial,
)
from ansible_collections.runbook.ops.plugins.module_utils._release_wish import (
    Place,
    Source,
    deploy_of,
    is_kept,
    wish_of,
)

SECTION = "Releases"


def make(place: Place, version: str, *, check_mode: bool) -> dict[str, Any]:
    """Have the release of ``version`` here, or say what it would take.

    :raises ReleaseError: it cannot be made.
    """
    began = time.monotonic()
    wish = wish_of(place, version)
    if not is_kept(place.service):
        return _named(place, maker.resolve(wish), version, time.monotonic() - began)
    if check_mode:
        source = maker.resolve(wish)
        release = maker.existing(wish, source)
        notes = maker.warnings(wish, source)
        left = partial(place.paths)
        made = release is None
        shown = release._asdict() if release else {"id": None, "commit": source.commit, "ref": version}
    else:
        with alone(place.paths, place.fence):
            left = remove_partial(place.paths, place.service, place.fence)
            source = maker.resolve(wish)
            notes = maker.warnings(wish, source)
            before = {one.id for one in listed(place.paths)}
            release = maker.make(wish, source)
            made = release.id not in before
            shown = release._asdict()
    seconds = round(time.monotonic() - began, 1)
    changes = [_gone(name, "a killed run has left it") for name in left]
    if made:
        thing = shown["id"] or f"{version} ({(source.commit or 'not fetched yet')[:19]})"
        changes.append(
            make_change(
                f"release {place.service['name']} {thing}",
                action="made",
                section=SECTION,
                reason=f"{version} was asked for",
                after=shown["commit"],
                seconds=seconds,
            )
        )
    return {
        "changed": bool(changes),
        "actions": [f"{change['action']} {change['thing']}" for change in changes],
        "release": shown,
        "releases": [one.id for one in listed(place.paths)],
        "stays": {},
        "seconds": seconds,
        "checks": [_warning(place, text) for text in notes],
        "changes": changes,
        "diff": {"before": {"release": None if made else shown["id"]}, "after": {"release": shown["id"] or version}},
    }


def remove(place: Place, names: list[str] | None, *, check_mode: bool) -> dict[str, Any]:
    """Remove the releases ``names``, or without them those that are not needed any more.

    :raises ReleaseError: one of them is needed.
    """
    began = time.monotonic()
    keep = deploy_of(place.service)["keep"] if names is None else 0
    if check_mode:
        left = partial(place.paths)
        stays, goes = _chosen(place, names, keep)
    else:
        with alone(place.paths, place.fence):
            left = remove_partial(place.paths, place.service, place.fence)
            stays, goes = _chosen(place, names, keep)
            prune(place.paths, place.service, place.fence, goes, place.run)
    reason = "it was asked for" if names is not None else "it is not needed"
    changes = [
        *(_gone(name, "a killed run has left it") for name in left),
        *(_gone(f"{place.service['name']} {name}", reason) for name in goes),
    ]
    after = [one.id for one in listed(place.paths)]
    return {
        "changed": bool(changes),
        "actions": [f"{change['action']} {change['thing']}" for change in changes],
        "release": None,
        "releases": after,
        "stays": stays,
        "seconds": round(time.monotonic() - began, 1),
        "checks": [],
        "changes": changes,
        "diff": {"before": {"goes": goes}, "after": {"goes": []}} if goes else {},
    }


def _named(place: Place, source: Source, version: str, seconds: float) -> dict[str, Any]:
    """Return which commit it is, for whoever builds it elsewhere.

    :raises ReleaseError: nobody but the repository's own server knows.
    """
    if source.commit is None:
        raise ReleaseError(
            f"{version} of {place.service['name']} is cut short: name the commit in full, a tag or a branch"
        )
    return {
        "changed": False,
        "actions": [],
        "release": {"id": None, "commit": source.commit, "ref": version, "path": None},
        "releases": [],
        "stays": {},
        "seconds": round(seconds, 1),
        "checks": [],
        "changes": [],
        "diff": {},
    }


def _chosen(place: Place, names: list[str] | None, keep: int) -> tuple[dict[str, str], list[str]]:
    """Return what stays and why, and what goes.

    :raises ReleaseError: something that was asked for is needed.
    """
    kept = look(place.paths, place.service, keep)
    if names is None:
        return kept.stays, kept.goes
    there = {one.id for one in listed(place.paths)}
    for name in names:
        if name in kept.stays and not kept.stays[name].startswith("it was built since"):
            raise ReleaseError(f"{name} stays, for {kept.stays[name]}: deploy another release first")
        if name in there and name not in (*kept.stays, *kept.goes):
            raise ReleaseError(f"{name} is what ran before the first deployment: remove it by hand")
    return kept.stays, [name for name in names if name in there]


def _gone(thing: str, reason: str) -> dict[str, Any]:
    return make_change(f"release {thing}", action="removed", section=SECTION, reason=reason)


def _warning(place: Place, text: str) -> dict[str, Any]:
    return make_check(
        f"release:{place.service['name']}",
        name=f"release of {place.service['name']}",
        section=SECTION,
        status="warning",
        detail=text,
        remedy="Ask who has moved it: a tag should stand for one commit for ever",
    )
