# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of Docker nothing needs, and why the rest stays. Private to this collection.

Docker does not know when an image was used last. So each run notes which images no container refers to, and since when that
has been seen at every look: that is the age that counts. An image that is used in between loses its note.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from math import ceil
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._docker import LABEL

KINDS = ("containers", "dangling_images", "unused_images", "build_cache")  # never volumes: they hold data
OURS = "runbook-ops"  # what labels and names of images begin with that belong to releases and ways back
KEEP = "runbook-ops.keep"
OWN_CACHE = ("internal", "frontend")  # pruned with --all only
ENDED = ("exited", "dead", "created")
DAY = 86_400
NUMBER = re.compile(r"sha256:[0-9a-f]{64}")
HUB = re.compile(r"^(?:(?:index\.)?docker\.io/)?(?:library/(?=[^/]+$))?")  # Docker lists its images without
FRACTION = re.compile(r"\.\d+")


@dataclass(frozen=True)
class Limits:
    """How many days something must have been of no use."""

    containers: float
    dangling_images: float
    unused_images: float
    build_cache: float


@dataclass(frozen=True)
class Thing:
    """One container, image or the build cache, and what is to become of it."""

    kind: str  # containers, dangling_images, unused_images, build_cache
    name: str
    identity: str
    size_bytes: int
    days: float | None  # for how long it has been of no use
    stays: str | None  # why; None means that it goes
    tags: tuple[str, ...] = ()


def parse_time(text: str) -> float | None:
    """Return the seconds since 1970 that Docker means by ``text``; None where it means never."""
    if not text or text.startswith("0001-"):
        return None
    said = FRACTION.sub("", text).replace("Z", "+00:00")
    return datetime.fromisoformat(said).astimezone(timezone.utc).timestamp()


def judge_container(said: Mapping[str, Any], *, days: float, now: float, size_bytes: int = 0) -> Thing | None:
    """Return what becomes of a container by its inspection; None for one that is not down."""
    state, labels = said["State"], said["Config"].get("Labels") or {}
    if state["Status"] not in ENDED:
        return None
    ended = parse_time(state.get("FinishedAt") or "") or parse_time(said.get("Created") or "")
    idle = None if ended is None else max(0.0, now - ended) / DAY
    project = labels.get(f"{LABEL}project")
    stays = None
    if _is_kept(labels):
        stays = "a label keeps it"
    elif project and labels.get(f"{LABEL}oneoff") != "True":
        stays = f"it belongs to the Compose project {project}, which may be down on purpose"
    elif ((said["HostConfig"].get("RestartPolicy") or {}).get("Name") or "no") != "no":
        stays = "it restarts by itself, so somebody has stopped it on purpose"
    elif any(mount.get("Type") == "volume" for mount in said.get("Mounts") or []):
        stays = "it has a volume, whose data nobody would find without it"
    elif idle is None or idle < days:
        stays = f"it is down for less than {days:g} days"
    return Thing("containers", said["Name"].lstrip("/"), said["Id"], size_bytes, _rounded(idle), stays)


def _is_kept(labels: Mapping[str, Any]) -> bool:
    return any(key == OURS or key.startswith(f"{OURS}.") for key in labels)


def _rounded(days: float | None) -> float | None:
    return None if days is None else round(days, 1)


@dataclass(frozen=True)
class Needed:
    """What names images that are needed."""

    used: frozenset[str]  # numbers of images that containers were made from, whether they run or not
    named: Mapping[str, str]  # tag, digest or number: who names it
    patterns: tuple[str, ...] = ()  # of tags, or name@digest, that stay


def judge_image(
    said: Mapping[str, Any], needed: Needed, *, limits: Limits, since: Mapping[str, float], now: float
) -> Thing | None:
    """Return what becomes of an image of the engine's list; None for one that a container was made from.

    :param since: when each image was first seen without a container
    """
    identity = str(said["Id"])
    if identity in needed.used:
        return None
    tags = tuple(tag for tag in said.get("RepoTags") or [] if tag != "<none>:<none>")
    digests = [one for one in said.get("RepoDigests") or [] if not one.startswith("<none>")]
    kind = "unused_images" if tags else "dangling_images"
    days, wanted = max(0.0, now - since.get(identity, now)) / DAY, getattr(limits, kind)
    names = [identity, *tags, *digests, *[one.rpartition("@")[2] for one in digests]]
    by = next((needed.named[name] for name in names if name in needed.named), None)
    labels = said.get("Labels") or {}
    stays = None
    if by:
        stays = f"named by {by}"
    elif any(tag.startswith(f"{OURS}/") for tag in tags):
        stays = "it belongs to a release, or is kept to go back to"
    elif _is_kept(labels):
        stays = "a label keeps it"
    elif labels.get(f"{LABEL}project"):
        stays = f"it was built for the Compose project {labels[f'{LABEL}project']}, which may be down on purpose"
    elif any(_is_meant(pattern, tags, digests) for pattern in needed.patterns):
        stays = "keep_images names it"
    elif days < wanted:
        stays = f"it is seen without a container for less than {wanted:g} days"
    own = int(said.get("Size") or 0) - max(0, int(said.get("SharedSize") or 0))
    name = tags[0] if tags else (digests[0].rpartition("@")[0] if digests else identity[7:19])
    # With its last tag in a repository, its digest there goes too; one that was pulled by digest from another would hold it.
    tagged = {tag.rpartition(":")[0] for tag in tags}
    other = tuple(one for one in digests if one.rpartition("@")[0] not in tagged)
    return Thing(kind, name, identity, max(0, own), round(days, 1), stays, (*tags, *other))


def _is_meant(pattern: str, tags: Iterable[str], digests: Iterable[str]) -> bool:
    """Return whether ``keep_images`` means an image. What has lost its tag to a newer one is meant by its digest only, or it would never go."""
    return any(fnmatchcase(name, HUB.sub("", pattern)) for name in (digests if "@" in pattern else tags))


def judge_cache(parts: Iterable[Mapping[str, Any]], *, days: float, now: float) -> Thing | None:
    """Return the build cache that nothing has used for ``days``; None where there is none.

    Docker keeps parts of its own, and those that what stays is built on: counted, they would be removed again at each run.
    """
    old, stays = {}, []
    for number, part in enumerate(parts):
        last = parse_time(part.get("LastUsedAt") or "") or parse_time(part.get("CreatedAt") or "")
        kept = part.get("InUse") or part.get("Shared") or part.get("Type") in OWN_CACHE
        if kept or last is None or now - last < days * DAY:
            stays += _parents(part)
        else:
            old[str(part.get("ID") or number)] = part
    while stays:
        stays += _parents(old.pop(stays.pop(), {}))
    size = sum(int(part.get("Size") or 0) for part in old.values())
    return Thing("build_cache", "build cache", "", size, days, None) if size else None


def _parents(part: Mapping[str, Any]) -> list[str]:
    return list(part.get("Parents") or ([part["Parent"]] if part.get("Parent") else []))


def known_as(reference: str) -> str:
    """Return how Docker lists the image that a Compose file calls ``reference``: without its own registry, with a tag, or by digest alone."""
    _name, _at, digest = reference.rpartition("@")
    if digest != reference:
        return digest  # what is pulled by digest gets no tag, even where one stands before it
    short = HUB.sub("", reference)
    return short if ":" in short.rpartition("/")[2] else f"{short}:latest"


def note(since: Mapping[str, float], idle: Iterable[str], *, now: float) -> dict[str, float]:
    """Return ``since`` for exactly those images that are without a container now; one that is new there starts today."""
    return {identity: min(since.get(identity, now), now) for identity in sorted(idle)}


def digests_in(content: Any) -> set[str]:
    """Return all numbers of images that stand anywhere in a file of the state of deploys."""
    if isinstance(content, Mapping):
        return set().union(*map(digests_in, content.values())) if content else set()
    if isinstance(content, list):
        return set().union(*map(digests_in, content)) if content else set()
    return set(NUMBER.findall(content)) if isinstance(content, str) else set()


def commands(thing: Thing, days: float) -> list[list[str]]:
    """Return what is run to remove ``thing``. Nothing is forced: what came into use since is refused by Docker."""
    if thing.kind == "containers":
        return [["rm", thing.identity]]  # without --volumes
    if thing.kind == "build_cache":
        return [["builder", "prune", "--force", "--filter", f"until={ceil(days * 24)}h"]]
    return [["image", "rm", "--no-prune", name] for name in thing.tags or [thing.identity]]
