# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compose file of a slot: one service of a project, made to stand beside itself. Private to this collection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._compose import ComposeError, parse_definition
from ansible_collections.runbook.ops.plugins.module_utils._slot import RELEASE_LABEL, SlotError, Standing

SLOT_LABEL = "runbook-ops.slot"
# What only one can have, what the project brings up itself, and what says where an image comes from.
LEFT_OUT = ("build", "container_name", "depends_on", "deploy", "env_file", "environment", "expose", "extends", "external_links",
            "image", "links", "network_mode", "networks", "ports", "profiles", "pull_policy", "scale", "volumes_from")  # fmt: skip
OF_NETWORK = ("ipv4_address", "ipv6_address", "mac_address", "aliases", "link_local_ips")  # only one can have them
SHARED = ("volumes", "secrets", "configs")


def standing(text: str, service: Mapping[str, Any], *, path: str) -> Standing:
    """Return how a Compose file runs ``service``, as a slot keeps it.

    :param text: what ``docker compose config --format json`` printed
    :param path: of the Compose file, for messages
    :raises SlotError: there is no such service, or two of it cannot stand beside each other.
    """
    name = compose_name(service)
    try:
        parse_definition(text, name, path=path)
    except ComposeError as exc:
        raise SlotError(str(exc)) from exc
    content = _plain(json.loads(text))
    found = content["services"][name]
    _refuse(found, name, path)
    number = service.get("replicas") or _replicas(found)
    if number != 1:
        raise SlotError(
            f"{name} of {path} has {number} containers, and only one can have the port of a slot: "
            "set replicas to 1, or its deploy.strategy to rolling"
        )
    kept = {key: value for key, value in found.items() if key not in LEFT_OUT and value is not None}
    resources = (found.get("deploy") or {}).get("resources")
    if resources:
        kept["deploy"] = {"resources": resources}
    if kept.get("restart") == "always":
        kept["restart"] = "unless-stopped"  # or an idle slot would be back after Docker's next start
    process = {
        "service": kept,
        "target": _target(found, service, path),
        "networks": {
            key: {inner: value for inner, value in (options or {}).items() if inner not in OF_NETWORK}
            for key, options in (found.get("networks") or {"default": None}).items()
        },
        "named": {
            kind: {key: _outside(kind, key, content) for key in _used(kind, found)} for kind in ("networks", *SHARED)
        },
    }
    environment = {key: str(value) for key, value in (found.get("environment") or {}).items() if value is not None}
    return Standing(process, environment, None, found.get("image"))


def document(
    process: Mapping[str, Any],
    *,
    label: str,
    slot: str,
    release: str,
    image: str,
    port: int,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """Return the Compose file of one slot.

    :raises SlotError: the release does not say how it is run.
    """
    if not process.get("service"):
        raise SlotError(f"{release} does not say how it is run: its definition was not kept, build it again")
    kept = process["service"]
    labels = kept.get("labels") or {}
    if isinstance(labels, list):
        labels = dict(str(one).partition("=")[::2] for one in labels)
    # Its own name in the network: by the name of the service others of the project would reach what has not passed yet.
    service = {
        **kept,
        "image": image,
        "pull_policy": "never",
        "environment": dict(environment),
        "networks": process.get("networks") or {},
        "labels": {**labels, RELEASE_LABEL: release, SLOT_LABEL: slot},
        "ports": [
            {
                "mode": "ingress",
                "host_ip": "127.0.0.1",
                "target": process["target"],
                "published": str(port),
                "protocol": "tcp",
            }
        ],
    }
    named = {key: value for key, value in (process.get("named") or {}).items() if value}
    return _escaped({"name": label, "services": {label: service}, **named})


def compose_name(service: Mapping[str, Any]) -> str:
    """Return the name of a service in its Compose file."""
    return str(service.get("compose_service") or service["name"])


def _refuse(found: Mapping[str, Any], name: str, path: str) -> None:
    if found.get("network_mode") not in (None, "", "default", "bridge"):
        raise SlotError(
            f"{name} of {path} has network_mode {found['network_mode']!r}: two of it cannot stand beside each other; give it a network and a port"
        )
    if found.get("volumes_from"):
        raise SlotError(f"{name} of {path} has volumes_from: name the volumes instead")


def _replicas(found: Mapping[str, Any]) -> int:
    number = (found.get("deploy") or {}).get("replicas", found.get("scale"))
    return 1 if number is None else int(number)


def _target(found: Mapping[str, Any], service: Mapping[str, Any], path: str) -> int:
    """Return the port in the container that the service's port leads to."""
    ports = [port for port in found.get("ports") or [] if isinstance(port, Mapping)]
    mine = [port for port in ports if str(port.get("published")) == str(service.get("port"))]
    others = [str(port["published"]) for port in ports if port.get("published") and port not in mine]
    if others:
        raise SlotError(
            f"{compose_name(service)} of {path} publishes port {', '.join(others)} of the host too, which only one of two can have: take it out"
        )
    if mine:
        return int(mine[0]["target"])
    exposed = [str(port).partition("/")[0] for port in found.get("expose") or []]
    if len(exposed) == 1 and exposed[0].isdigit():
        return int(exposed[0])
    environment = found.get("environment") or {}
    if str(environment.get("PORT") or "").isdigit():
        return int(environment["PORT"])
    raise SlotError(
        f"{compose_name(service)} of {path} does not publish port {service.get('port')}: correct port, or have the file expose one"
    )


def _used(kind: str, found: Mapping[str, Any]) -> list[str]:
    """Return the names at the top of the file that the service uses."""
    if kind == "networks":
        return list(found.get("networks") or {"default": None})
    if kind == "volumes":
        return [
            one["source"] for one in found.get("volumes") or [] if one.get("type") == "volume" and one.get("source")
        ]
    return [one["source"] if isinstance(one, Mapping) else one for one in found.get(kind) or []]


def _outside(kind: str, name: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a slot refers to what the project has made."""
    defined = (content.get(kind) or {}).get(name) or {}
    real = defined.get("name") or f"{content.get('name')}_{name}"
    if kind in ("networks", "volumes"):
        return {"name": real, "external": True}
    return {**defined, "name": real}


def _plain(value: Any) -> Any:
    """Return ``value`` with each dollar sign as it is meant: Compose prints it twice."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.replace("$$", "$") if isinstance(value, str) else value


def _escaped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
