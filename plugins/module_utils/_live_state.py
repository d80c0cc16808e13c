# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which slot of a service gets the requests: what is written about it, and what decides. Private to this collection.

Before a switch ``live.json`` names the slot that is live and the one that will be; one rename of what nginx reads decides between the two.
So a switch that is killed at any instant leaves no doubt: the link of the socket, or the servers in nginx's file, is the truth.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

SOCKET, RELOAD = "socket", "reload"


class Live(NamedTuple):
    """The slot that gets the requests."""

    slot: str
    label: str  # the name of it in PM2, or the Compose project
    port: int
    release: str | None
    since: str  # ISO 8601, UTC


class State(NamedTuple):
    """What ``live.json`` says."""

    now: Live | None
    next: Live | None = None  # the slot of a switch that has begun; None where none has
    file: str | None = None  # nginx's file of servers; None where no proxy was taken over


def read_live(paths: Any) -> Live | None:
    """Return the slot that gets the requests now; None where nothing was ever deployed here.

    :param paths: the ``DeployPaths`` of the service
    :raises ValueError: what is written there cannot be read; the message is one line.
    """
    return decide(read_state(paths.live), target(paths.live_socket), _text)


def read_state(path: Path) -> State:
    """Return what ``live.json`` says.

    :raises ValueError: it cannot be read.
    """
    try:
        content = json.loads(Path(path).read_bytes())
        return State(_live(content["now"]), _live(content.get("next")), content.get("file"))
    except FileNotFoundError:
        return State(None)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ValueError(
            f"{path} cannot be read ({exc}): see which slot nginx sends requests to, then move it away"
        ) from exc


def encode(state: State) -> dict[str, Any]:
    """Return ``state`` as it is written."""
    return {
        "now": state.now._asdict() if state.now else None,
        "next": state.next._asdict() if state.next else None,
        "file": state.file,
    }


def decide(state: State, linked: str | None, read: Any) -> Live | None:
    """Return the live slot: of the two that a switch lies between, the one that nginx is led to.

    :param linked: the slot that the link of the socket leads to
    :param read: returns the text of nginx's file of servers; None where it is not there
    """
    if state.next is None or state.file is None:
        return state.now
    servers = read(state.file) or ""
    if "server unix:" in servers:
        return state.next if linked == state.next.slot else state.now
    return state.next if f":{state.next.port};" in servers else state.now


def target(link: Path) -> str | None:
    """Return the slot that a link leads to; None where there is no link."""
    try:
        return Path(os.readlink(link)).stem  # noqa: PTH115  # Path.readlink() came with Python 3.9.0 and loses the cause
    except OSError:
        return None


def make_live(slot: Any, release: str | None) -> Live:
    """Return that ``slot`` is live from now on."""
    since = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return Live(slot.name, slot.label, slot.port, release, since)


def _live(content: Mapping[str, Any] | None) -> Live | None:
    return Live(*(content[key] for key in Live._fields)) if content else None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
