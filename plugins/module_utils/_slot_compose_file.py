# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compose file of a slot: one service of a project, made to stand beside itself. Private to this collection."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._compose import ComposeError, parse_definition
from ansible_collections.runbook.ops.plugins.module_utils._slot import RELEASE_LABEL, SlotError, Standing

SLOT_LABEL = "runbook-ops.slot"
# What only one can have, what the project brings up itself, and what says where an image comes from.
LEFT_OUT = ("build", "container_name", "depends_on", "deploy", "env_file", "environment", "expose", "extends", "external_links",
            "image", "links", "network_mode", "networks", "ports", "profiles", "pull_policy", "scale", "volumes_from")  # fmt: skip
OF_NETWORK = ("ipv4_address", "ipv6_address", "mac_address", "aliases", "link_local_ips")  # only one can have them
FRONT = "-front"  # after the name of a slot's project: what shares requests among its containers
SLOT_NETWORK = "runbook-ops-slot"
SHARED = ("volumes", "secrets", "configs")


def standing(
    text: str, service: Mapping[str, Any], *, path: str, identity: Callable[[str], str] = lambda image: image
) -> Standing:
    """Return how a Compose file runs ``service``, as a slot keeps it.

    :param text: what ``docker compose config --format json`` printed
    :param path: of the Compose file, for messages
    :param identity: returns the image that a name stands for now, by its own number
    :raises SlotError: there is no such service, or two of it cannot stand beside each other.
    """
    name, front = compose_name(service), front_name(service)
    for each in (name, front) if front else (name,):
        try:
            parse_definition(text, each, path=path)
        except ComposeError as exc:
            raise SlotError(str(exc)) from exc
    content = plain(json.loads(text))
    found = content["services"][name]
    _refuse(found, name, path)
    number = service.get("replicas") or _replicas(found)
    if number != 1 and not front:
        raise SlotError(
            f"{name} of {path} has {number} containers, and only one can have the port of a slot: "
            "set replicas to 1, or name with deploy.front the service of the file that shares requests among them"
        )
    users = [found]
    process: dict[str, Any] = {"service": _kept(found)}
    if front:
        before = content["services"][front]
        _refuse_front(before, found, front, name, path)
        users.append({key: value for key, value in before.items() if key != "networks"})
        image = before.get("image") or f"{content.get('name')}-{front}"  # what Compose calls one that it has built
        process.update(front={"service": _kept(before), "image": identity(str(image))}, replicas=number)
        process.update(name=name, **_ports(before, service, path, front))
    else:
        process.update(_ports(found, service, path, name))
    process.update(
        networks={
            key: {inner: value for inner, value in (options or {}).items() if inner not in OF_NETWORK}
            for key, options in (found.get("networks") or {"default": None}).items()
        },
        named={
            kind: {key: _outside(kind, key, content) for one in users for key in _used(kind, one)}
            for kind in ("networks", *SHARED)
        },
    )
    if _is_alone(service):  # nothing stands beside it: others of the project may call it by its name
        for options in process["networks"].values():
            options["aliases"] = [name]
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
    replicas: int = 1,
) -> dict[str, Any]:
    """Return the Compose file of one slot.

    :param replicas: how many containers at least, where something shares requests among them
    :raises SlotError: the release does not say how it is run.
    """
    if not process.get("service"):
        raise SlotError(f"{release} does not say how it is run: its definition was not kept, build it again")
    told = {RELEASE_LABEL: release, SLOT_LABEL: slot}
    networks = dict(process.get("networks") or {})
    # Its own name in the network: by the name of the service others of the project would reach what has not passed yet.
    service = {
        **process["service"],
        "image": image,
        "pull_policy": "never",
        "environment": dict(environment),
        "networks": networks,
        "labels": {**_labels(process["service"]), **told},
    }
    services = {label: service}
    named = {key: dict(value) for key, value in (process.get("named") or {}).items() if value}
    takes = service
    if process.get("front"):
        # In a network of the slot's own the name of the service means the containers of this slot, and no others.
        networks[SLOT_NETWORK] = {"aliases": [process["name"]]}
        service["scale"] = max(replicas, int(process.get("replicas") or 1))
        before = process["front"]["service"]
        takes = services[f"{label}{FRONT}"] = {
            **before,
            "image": process["front"]["image"],
            "pull_policy": "never",
            "networks": {SLOT_NETWORK: None},
            # An nginx looks its servers up once, at its start. Their health is asked by the gate, which may wait for longer than Compose.
            "depends_on": {label: {"condition": "service_started"}},
            "labels": {**_labels(before), **told},
        }
        named["networks"] = {**(named.get("networks") or {}), SLOT_NETWORK: {"name": f"{label}_{SLOT_NETWORK}"}}
    takes["ports"] = [
        {
            "mode": "ingress",
            **({"host_ip": process["host_ip"]} if process.get("host_ip") else {}),
            "target": process["target"],
            "published": str(port),
            "protocol": "tcp",
        },
        *(process.get("ports") or []),
    ]
    return _escaped({"name": label, "services": services, **named})


def one_off(
    process: Mapping[str, Any], name: str, image: str, argv: Sequence[str], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return a Compose file with one service, which runs ``argv`` in ``image`` as a release is run that is kept in ``process``.

    No port, no alias in a network, no restart and no health check: it does one thing and ends. It ends within Docker's own time
    for that: who has started it waits for as long, and not for what a server may need.
    """
    left_out = ("restart", "healthcheck", "command", "stop_grace_period")
    kept = {key: value for key, value in process["service"].items() if key not in left_out}
    networks = {
        key: {inner: value for inner, value in (options or {}).items() if inner != "aliases"}
        for key, options in (process.get("networks") or {}).items()
    }
    service = {
        **kept,
        "image": image,
        "pull_policy": "never",
        "entrypoint": [*argv],
        "environment": dict(environment),
        "networks": networks,
    }
    named = {key: dict(value) for key, value in (process.get("named") or {}).items() if value}
    return _escaped({"name": name, "services": {name: service}, **named})


def _labels(kept: Mapping[str, Any]) -> dict[str, Any]:
    labels = kept.get("labels") or {}
    return dict(str(one).partition("=")[::2] for one in labels) if isinstance(labels, list) else dict(labels)


def compose_name(service: Mapping[str, Any]) -> str:
    """Return the name of a service in its Compose file."""
    return str(service.get("compose_service") or service["name"])


def front_name(service: Mapping[str, Any]) -> str | None:
    """Return the name in the Compose file of what shares requests among the containers of a service; None without."""
    return (service.get("deploy") or {}).get("front") or None


def _is_alone(service: Mapping[str, Any]) -> bool:
    """Return whether the new release takes the place of the old one: only one of them runs at a time."""
    deploy = service.get("deploy") or {}
    return deploy.get("strategy") == "in_place" or (deploy.get("strategy") == "rolling" and not deploy.get("proxy"))


def _kept(found: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in found.items() if key not in LEFT_OUT and value is not None}
    resources = (found.get("deploy") or {}).get("resources")
    if resources:
        kept["deploy"] = {"resources": resources}
    if kept.get("restart") == "always":
        kept["restart"] = "unless-stopped"  # or an idle slot would be back after Docker's next start
    return kept


def _refuse_front(before: Mapping[str, Any], found: Mapping[str, Any], front: str, name: str, path: str) -> None:
    _refuse(before, front, path)
    if _replicas(before) != 1:
        raise SlotError(
            f"{front} of {path} has {_replicas(before)} containers: one shares the requests among those of {name}"
        )
    if before.get("environment"):
        raise SlotError(f"{front} of {path} has variables, which a slot does not keep: give it a file of configuration")
    if found.get("ports"):
        raise SlotError(
            f"{name} of {path} publishes a port, though {front} leads to it: take its ports out of the file"
        )


def _refuse(found: Mapping[str, Any], name: str, path: str) -> None:
    if found.get("network_mode") not in (None, "", "default", "bridge"):
        raise SlotError(
            f"{name} of {path} has network_mode {found['network_mode']!r}: two of it cannot stand beside each other; give it a network and a port"
        )
    if found.get("volumes_from"):
        raise SlotError(f"{name} of {path} has volumes_from: name the volumes instead")
    for one in found.get("volumes") or []:
        if one.get("type") == "volume" and not one.get("source"):
            raise SlotError(
                f"{name} of {path} has a volume without a name at {one.get('target')}, which each release would find empty: "
                "give it a name below volumes, or take it out"
            )


def _replicas(found: Mapping[str, Any]) -> int:
    number = (found.get("deploy") or {}).get("replicas", found.get("scale"))
    return 1 if number is None else int(number)


def _ports(found: Mapping[str, Any], service: Mapping[str, Any], path: str, name: str) -> dict[str, Any]:
    """Return the port in the container that the service's port leads to, and how the host has it."""
    ports = [port for port in found.get("ports") or [] if isinstance(port, Mapping)]
    mine = [port for port in ports if str(port.get("published")) == str(service.get("port"))]
    others = [port for port in ports if port.get("published") and port not in mine]
    if _is_alone(service) and mine:  # users may come from anywhere
        return {"target": int(mine[0]["target"]), "host_ip": mine[0].get("host_ip"), "ports": others}
    if others:
        told = ", ".join(str(port["published"]) for port in others)
        raise SlotError(
            f"{name} of {path} publishes port {told} of the host too, which only one of two can have: "
            "take it out, or set deploy.strategy to in_place"
        )
    return {"target": int(mine[0]["target"]) if mine else _inner(found, service, path, name), "host_ip": "127.0.0.1"}


def _inner(found: Mapping[str, Any], service: Mapping[str, Any], path: str, name: str) -> int:
    exposed = [str(port).partition("/")[0] for port in found.get("expose") or []]
    if len(exposed) == 1 and exposed[0].isdigit():
        return int(exposed[0])
    environment = found.get("environment") or {}
    if str(environment.get("PORT") or "").isdigit():
        return int(environment["PORT"])
    raise SlotError(
        f"{name} of {path} does not publish port {service.get('port')}: correct port, or have the file expose one"
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


def plain(value: Any) -> Any:
    """Return ``value`` with each dollar sign as it is meant: Compose prints it twice."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.replace("$$", "$") if isinstance(value, str) else value


def _escaped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
