# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""See what Docker holds and who needs it, and remove what may go. Private to this collection."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils import _docker_cleanup as rules
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._compose import ComposeError
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import StateError, read_json, write_json
from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError

LOOK_SECONDS = 120  # Docker measures each layer and volume
REMOVE_SECONDS = 300
# What Docker says of an image, and of a container that runs, is paused, or is being removed.
IN_USE = (
    "conflict",
    "is being used",
    "is using",
    "No such",
    "has dependent child",
    "force remove",
    "is paused",
    "in progress",
)
NOTES = "unused.json"


class CleanupError(Exception):
    """It cannot be known what is needed; the message is one line and says what to do."""


class Observed(NamedTuple):
    """What Docker holds that runs nowhere, and what of it goes."""

    things: list[rules.Thing]
    volumes: list[str]  # without a container
    since: dict[str, float]  # when each image was first seen without a container


def observe(
    ask: Callable[..., Any],
    docker: Callable[..., str],
    *,
    limits: rules.Limits,
    projects: Sequence[Mapping[str, Any]],
    keep_images: Iterable[str],
    deploys: Path,
    notes: Path,
    now: float,
) -> Observed:
    """Return what Docker holds that runs nowhere.

    :param ask: asks the engine, as :func:`_docker.ask`
    :param docker: runs its client, as :class:`_compose_host.Docker`
    :raises CleanupError: it cannot be known what is needed.
    """
    try:
        listed = ask("/containers/json?all=1", timeout_seconds=LOOK_SECONDS)
        # Images are listed after the containers: one that is used by a newer container is refused by Docker itself.
        held = ask("/system/df", timeout_seconds=LOOK_SECONDS)
        volumes = ask("/volumes?filters=" + '{"dangling":["true"]}', timeout_seconds=LOOK_SECONDS).get("Volumes") or []
        things = _containers(ask, listed, held, days=limits.containers, now=now)
    except DockerError as exc:
        raise CleanupError(f"{exc}; look at it with systemctl status docker") from exc
    if "Images" not in held:  # none are told by an empty list, or null
        raise CleanupError(
            "Docker does not say which images it holds (no Images in /system/df): look at docker system df"
        )
    images = held["Images"] or []
    used = frozenset(str(one["ImageID"]) for one in listed)
    needed = rules.Needed(used, {**_composed(docker, projects), **_deployed(deploys)}, tuple(keep_images))
    since = rules.note(_noted(notes), [str(one["Id"]) for one in images if str(one["Id"]) not in used], now=now)
    found = [rules.judge_image(one, needed, limits=limits, since=since, now=now) for one in images]
    cache = rules.judge_cache(held.get("BuildCache") or [], days=limits.build_cache, now=now)
    everything = [
        *things,
        *sorted((one for one in found if one), key=lambda one: one.name),
        *([cache] if cache else []),
    ]
    return Observed(everything, [str(one["Name"]) for one in volumes], since)


def _containers(
    ask: Callable[..., Any], listed: Iterable[Mapping[str, Any]], held: Mapping[str, Any], *, days: float, now: float
) -> list[rules.Thing]:
    sizes = {one["Id"]: one.get("SizeRw") or 0 for one in held.get("Containers") or []}
    found = []
    for one in listed:
        if one["State"] not in rules.ENDED:
            continue
        try:
            said = ask(f"/containers/{one['Id']}/json")
        except DockerError as exc:
            if "(404)" not in str(exc):
                raise
            continue  # it has gone since
        found.append(rules.judge_container(said, days=days, now=now, size_bytes=sizes.get(one["Id"], 0)))
    return sorted((one for one in found if one), key=lambda one: one.name)


def _composed(docker: Callable[..., str], projects: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the images that Compose files name, whether their project is up or down."""
    named = {}
    for project in projects:
        file = f"{project['directory']}/{project.get('file') or 'docker-compose.yml'}"
        where = ["--project-name", project["project"]] if project.get("project") else []
        try:
            content = json.loads(
                docker("compose", *where, "--file", file, "--profile", "*", "config", "--format", "json")
            )
        except (ComposeError, CommandError, ValueError) as exc:
            raise CleanupError(
                f"Compose cannot read {file}, so it is not known which images it needs ({str(exc).splitlines()[0]}): "
                "correct the file, or take it out of projects"
            ) from exc
        for name, service in (content.get("services") or {}).items():
            image = service.get("image") or f"{content.get('name')}-{name}"
            named[rules.known_as(image)] = file
    return named


def _deployed(deploys: Path) -> dict[str, str]:
    """Return the images that releases, slots and journals of deploys name."""
    named = {}
    for path in _files(deploys):
        try:
            for number in rules.digests_in(read_json(path)):
                named[number] = f"the deploys of {path.relative_to(deploys).parts[0]}"
        except StateError as exc:
            raise CleanupError(str(exc)) from exc
    return named


def _files(deploys: Path) -> list[Path]:
    """Return the files of all deploys.

    :raises CleanupError: there may be more, for a directory cannot be read.
    """
    found: list[Path] = []

    def refuse(exc: OSError) -> None:
        if not isinstance(exc, FileNotFoundError):  # no deploys, or what one has just removed
            raise CleanupError(
                f"cannot read {exc.filename} ({exc.strerror}), so it is not known what is live: run as root"
            )

    for directory, _directories, names in os.walk(deploys, onerror=refuse):
        found += [Path(directory, name) for name in names if name.endswith(".json")]
    return sorted(found)


def _noted(notes: Path) -> dict[str, float]:
    try:
        return {str(key): float(value) for key, value in (read_json(notes / NOTES) or {}).items()}
    except (StateError, TypeError, ValueError):
        return {}  # then all images are seen for the first time, and stay


def keep_notes(notes: Path, since: Mapping[str, float]) -> None:
    """Write down since when images are without a container.

    :raises CleanupError: it cannot be written.
    """
    try:
        notes.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _noted(notes) != since:
            write_json(notes / NOTES, since)
    except (OSError, StateError) as exc:
        raise CleanupError(f"cannot write below {notes} ({exc}): run as root") from exc


def remove(docker: Callable[..., str], thing: rules.Thing, days: float) -> str | None:
    """Remove ``thing``, and return why Docker refused; None where it is gone.

    :raises CommandError: it failed for another reason.
    """
    for command in rules.commands(thing, days):
        try:
            docker(*command, limit=REMOVE_SECONDS)
        except CommandError as exc:
            said = f"{exc} {exc.details.get('stderr', '')}"
            if any(word in said for word in IN_USE):
                return str(exc)
            raise
    return None
