# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask Docker and registries about the images of Compose services. Private to this collection."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from ansible_collections.runbook.ops.plugins.module_utils._compose_images import Image, is_fixed, previous_repository
from ansible_collections.runbook.ops.plugins.module_utils._docker import LABEL, DockerError

REGISTRY_SECONDS = 30


def look(ask: Callable[..., Any], services: Iterable[Mapping[str, Any]]) -> list[Image]:
    """Return the image of each service of Compose that has a container; nothing is fetched.

    :raises DockerError: Docker does not tell.
    """
    published: dict[str, tuple[str | None, str | None]] = {}
    found = []
    for service in services:
        if service["manager"] != "compose":
            continue
        project = service.get("project") or posixpath.basename(service["path"].rstrip("/"))
        name = service.get("compose_service") or service["name"]
        labels = [f"{LABEL}project={project}", f"{LABEL}service={name}", f"{LABEL}oneoff=False"]
        for one in ask(f"/containers/json?all=1&filters={quote(json.dumps({'label': labels}))}")[:1]:
            found.append(_image(ask, service["name"], one, published))
    return found


def _image(
    ask: Callable[..., Any],
    name: str,
    container: Mapping[str, Any],
    published: dict[str, tuple[str | None, str | None]],
) -> Image:
    # The list names an image by its number once its name stands for another one; the container itself remembers.
    reference = str(ask(f"/containers/{container['Id']}/json")["Config"]["Image"])
    said = ask(f"/images/{container['ImageID']}/json")
    digests = tuple(one for one in said.get("RepoDigests") or [] if not one.startswith("<none>"))
    tagged = None if is_fixed(reference) else _number(ask, reference)
    if not is_fixed(reference) and digests and reference not in published:
        published[reference] = _published(ask, reference)
    digest, unknown = published.get(reference, (None, None))
    created = str(said.get("Created") or "1970-01-01T00:00:00Z")
    return Image(name, reference, str(container["ImageID"]), digests, created, tagged, digest, unknown)


def _number(ask: Callable[..., Any], reference: str) -> str | None:
    try:
        return str(ask(f"/images/{quote(reference, safe='/:@')}/json")["Id"])
    except DockerError:
        return None


def _published(ask: Callable[..., Any], reference: str) -> tuple[str | None, str | None]:
    """Return the digest that the registry has for ``reference`` now, or why that is not known."""
    try:
        said = ask(f"/distribution/{quote(reference, safe='/:@')}/json", timeout_seconds=REGISTRY_SECONDS)
        return str(said["Descriptor"]["digest"]), None
    except (DockerError, KeyError, TypeError) as exc:
        return None, str(exc).splitlines()[0][:160]


class Here(NamedTuple):
    """What a name stands for on this host."""

    identity: str
    digests: tuple[str, ...]  # without names
    environment: tuple[str, ...]


def describe(ask: Callable[..., Any], reference: str) -> Here:
    """Return what ``reference`` stands for on this host.

    :raises DockerError: nothing, or Docker does not tell.
    """
    said = ask(f"/images/{quote(reference, safe='/:@')}/json")
    digests = tuple(one.rpartition("@")[2] for one in said.get("RepoDigests") or [])
    return Here(str(said["Id"]), digests, tuple((said.get("Config") or {}).get("Env") or []))


def published_of(ask: Callable[..., Any], reference: str) -> str:
    """Return the digest that the registry has for ``reference``.

    :raises DockerError: it does not tell.
    """
    digest, why = _published(ask, reference)
    if digest is None:
        raise DockerError(f"the registry does not tell what {reference} is: {why}")
    return digest


def kept_of(ask: Callable[..., Any], service: str) -> list[tuple[str, str]]:
    """Return name and number of the images of ``service`` that are kept to go back to, the newest first."""
    wanted = previous_repository(service)
    listed = ask(f"/images/json?filters={quote(json.dumps({'reference': [f'{wanted}:*']}))}")
    tags = [
        (str(tag), str(one["Id"]))
        for one in listed
        for tag in one.get("RepoTags") or []
        if tag.startswith(f"{wanted}:")
    ]
    return sorted(tags, reverse=True)
