# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of probes that mean the live slot of a service: filled in on the host, where it is known. Private to this collection.

A switch happens on the host, and what looks at the service, perhaps a timer, was told long before. So it is told the service, and
``{live.name}`` and ``{live.port}`` in its other options stand for the slot that gets the requests at that moment. The ids of checks
stay those of the first slot: an alert outlives a deploy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

PLACEHOLDER = re.compile(r"\{live\.(name|port)\}")


def live_of(service: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the option ``live`` of a probe that looks at ``service``; None where it has one slot only.

    :param service: as the role ``system`` describes it
    """
    if (service.get("deploy") or {}).get("strategy") != "blue_green":
        return None
    name = service["project"] if service["manager"] == "compose" else service["name"]
    return {"service": service["name"], "name": name, "port": service["port"]}


def placed(service: Mapping[str, Any], url: str) -> str:
    """Return ``url`` of the first slot with a placeholder for its port, where it is that of a slot."""
    port, standby = service.get("port"), (service.get("health") or {}).get("standby_url")
    found = url.replace(f":{port}", ":{live.port}", 1)
    same = standby and found.replace("{live.port}", str(service.get("standby_port"))) == standby
    return (found if same else url).replace("{name}", "{live.name}")


def at_live(
    spec: Mapping[str, Any], read: Callable[[str], tuple[str, int] | None]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a probe's options with the live slot's name and port in them, and what stands for those in the ids of its checks.

    :param read: returns name and port of a service's live slot; None where nothing was deployed
    :raises ValueError: it is not known which slot is live.
    """
    first = dict(spec["live"])
    found = read(str(first["service"]))
    now = {"name": found[0], "port": found[1]} if found else first
    options = {key: _filled(value, now) for key, value in spec.items() if key != "live"}
    return options, {str(now[key]): str(first[key]) for key in ("name", "port") if now[key] != first[key]}


def lasting(identity: str, names: Mapping[str, str]) -> str:
    """Return the id of a check as it was before the first switch."""
    return "".join(names.get(part, part) for part in re.split(r"([:/])", identity))


def read_slot(service: str) -> tuple[str, int] | None:
    """Return name and port of the live slot of ``service`` on this host; None where nothing was deployed.

    :raises ValueError: it is not known.
    """
    from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import (  # noqa: PLC0415  # where there are deploys
        DeployPaths,
        StateError,
    )
    from ansible_collections.runbook.ops.plugins.module_utils._live_state import read_live  # noqa: PLC0415

    try:
        live = read_live(DeployPaths(service))
    except StateError as exc:
        raise ValueError(str(exc)) from exc
    return (live.label, live.port) if live else None


def _filled(value: Any, now: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: str(now[found[1]]), value)
    if isinstance(value, list):
        return [_filled(one, now) for one in value]
    return value
