# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases may go. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._release_ledger import last_good, newest_good


class Kept(NamedTuple):
    """What stays and why, and what goes, by name."""

    stays: dict[str, str]
    goes: list[str]


def choose(
    names: Sequence[str],
    events: Sequence[Mapping[str, Any]],
    *,
    live: str | None,
    named: Iterable[str],
    running: Iterable[str],
    keep: int,
) -> Kept:
    """Return which of the releases ``names`` stay.

    :param names: oldest first
    :param live: the one that gets the requests
    :param named: those that a journal or a slot's files name
    :param running: those that a process runs from
    :param keep: how many good ones stay beside the live and the last good one
    """
    reasons: dict[str, str] = {}
    history = [dict(event) for event in events]
    last = last_good(history, but=live)
    groups: list[tuple[str, Iterable[str | None]]] = [
        ("it is live", [live]),
        ("it is the last good one", [last]),
        ("a slot or a deploy that is under way names it", named),
        ("a process runs from it", running),
        (f"it is one of the {keep} newest good ones", newest_good(history, keep)),
        ("it was built since, and never tried", _untried(names, history)),
    ]
    for reason, members in groups:
        for name in members:
            if name is not None:
                reasons.setdefault(name, reason)
    stays = {name: reasons[name] for name in names if name in reasons}
    return Kept(stays, [name for name in names if name not in stays])


def _untried(names: Sequence[str], history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what was built after the last time that anything went live: somebody is about to use it."""
    after = max((at for at, event in enumerate(history) if event["event"] == "live"), default=-1)
    since = {event["release"] for event in history[after + 1 :] if event["event"] in ("built", "staged")}
    ended = {event["release"] for event in history if event["event"] in ("bad", "rolled_back", "pruned")}
    return [name for name in names if name in since - ended]
