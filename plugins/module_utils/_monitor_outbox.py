# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages that wait for their receivers: in order, patiently, bounded. Private to this collection.

The outbox is part of the monitor's state. So what was seen and what is to be told of it are written by one rename: a kill
between the two loses no message and makes none twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._notify import NotifyError

Record = dict[str, Any]
MOST_MESSAGES = 500
REFUSED_SECONDS = 86400.0  # so long a message is offered again to who refuses it
SLACK_SECONDS = 30.0  # a look that comes a little early must not miss its turn


def put(state: Record, message: Record, channels: Sequence[str]) -> None:
    """Add ``message`` for those of ``channels`` that it is not only about; drop the oldest where too many wait."""
    pending = [name for name in channels if any(event["id"] != own_id(name) for event in message["events"])]
    if not pending:
        return
    outbox = state["outbox"]
    outbox.append({**message, "pending": pending, "dropped": state.pop("dropped", 0)})
    while len(outbox) > MOST_MESSAGES:
        state["dropped"] = state.get("dropped", 0) + 1 + outbox.pop(0).get("dropped", 0)


def forget_channels(state: Record, channels: Sequence[str]) -> None:
    """Let go of what waits for receivers that are not among ``channels`` any more."""
    for message in state["outbox"]:
        message["pending"] = [name for name in message["pending"] if name in channels]
    state["outbox"] = [message for message in state["outbox"] if message["pending"]]
    state["channels"] = {name: place for name, place in state["channels"].items() if name in channels}


def deliver(
    state: Record,
    send: Callable[[str, Record], None],
    *,
    now: float,
    keep: Callable[[], Any],
    in_time: Callable[[], bool] = lambda: True,
) -> list[str]:
    """Hand over what waits, the oldest first, and return one line for each thing that went wrong.

    :param send: raises NotifyError where the channel does not take the message
    :param keep: saves the state; called after each message that was taken
    :param in_time: whether there is time for one more
    """
    problems: list[str] = []
    for channel in sorted({name for message in state["outbox"] for name in message["pending"]}):
        place = state["channels"].setdefault(channel, {"failures": 0, "next_at": 0.0, "error": None, "since": None})
        if now < place["next_at"] - SLACK_SECONDS <= now + 3600:
            continue
        for message in [one for one in state["outbox"] if channel in one["pending"]]:
            if not in_time():
                break
            try:
                send(channel, message)
            except NotifyError as exc:
                problems.append(f"{channel}: {exc}")
                place.update(
                    failures=place["failures"] + 1,
                    next_at=now + min(900.0, 60.0 * 2 ** min(place["failures"] + 1, 10)),
                    error=str(exc),
                    since=place["since"] or now,
                )
                if not exc.refused:
                    break  # the next one would fail as well
                if now - message.setdefault("refused_at", now) >= REFUSED_SECONDS:
                    message["pending"].remove(channel)
                    problems.append(f"{channel}: {message['id']} was refused for a day and is dropped")
            else:
                place.update(failures=0, next_at=0.0, error=None, since=None)
                message["pending"].remove(channel)
                state["outbox"] = [one for one in state["outbox"] if one["pending"]]
                keep()
    state["outbox"] = [one for one in state["outbox"] if one["pending"]]
    return problems


def channel_checks(state: Record, channels: Sequence[str]) -> list[Record]:
    """Return a check for each channel that does not take messages, so that another one tells of it."""
    checks = []
    for name in channels:
        place = state["channels"].get(name)
        if place and place["failures"]:
            waiting = sum(name in message["pending"] for message in state["outbox"])
            checks.append(
                make_check(
                    own_id(name),
                    name=f"Alerts by {name}",
                    section="Monitor",
                    status="warning",
                    value=waiting,
                    unit="messages",
                    detail=f"{place['error']}; {waiting} messages wait",
                    remedy="correct ops_alerts, or the receiver; what waits is sent once it answers",
                )
            )
    return checks


def own_id(channel: str) -> str:
    """Return the id of the check about ``channel``."""
    return f"monitor:{channel}"
