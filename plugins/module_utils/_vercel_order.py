# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have Vercel lead the domains of a project elsewhere, and know what became of that. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._vercel import (
    Deployment,
    RefusedError,
    VercelError,
    alias_request,
)
from ansible_collections.runbook.ops.plugins.module_utils._vercel_watch import LOOKED_AT, Waiting, Watch

ORDER_SECONDS = 120.0  # until Vercel has led the domains elsewhere
DOUBT_SECONDS = 10.0  # until an order whose answer was lost shows, or did not get there
AT_WORK = ("pending", "in-progress")  # of an order


class DoubtError(VercelError):
    """Where the domains lead is not known, or may still change."""


def lead_to(
    vercel: Any,
    one: Deployment,
    *,
    back: str | None,
    commit: Callable[[], AbstractContextManager[None]],
    waiting: Waiting,
) -> str | None:
    """Have the domains lead to ``one``; return a warning where the answer to the order was lost.

    :param back: why it is a way back; None for a promotion
    :param commit: proves that nobody has taken the lock over, for as long as it is open
    :raises VercelError: they do not.
    :raises DoubtError: nobody knows.
    """
    live, _latest = vercel.look(LOOKED_AT)
    if live is not None and live.id == one.id:
        return None
    try:
        with commit():
            warning = _ask(vercel, one, back)
    except VercelError as exc:
        if not _was_taken(vercel, one, waiting):
            raise
        warning = f"the answer was lost ({exc}), the order was taken"
    reached("vercel:ordered")
    try:
        Watch(vercel, waiting, live, ORDER_SECONDS).domains(one)
    except VercelError as exc:
        order = alias_request(vercel.settings)
        if order and order[0] == one.id and order[1] in AT_WORK:
            raise DoubtError(f"{exc}. It may still come: the next run ends it") from exc
        raise
    return warning


def _ask(vercel: Any, one: Deployment, back: str | None) -> str | None:
    """Ask for it; return a warning where a way back is refused, such as by a plan that goes back by one only, and is a promotion now."""
    if back is not None and one.candidate:
        try:
            vercel.roll_back(one.id, back)
            return None
        except RefusedError as exc:
            vercel.promote(one.id)
            return f"{exc}; it was promoted instead"
    vercel.promote(one.id)
    return None


def settled(vercel: Any, waiting: Waiting) -> Deployment | None:
    """Return what is in production once Vercel has ended what it was asked for.

    :raises VercelError: it does not end, or nobody can tell.
    """
    began = waiting.clock()
    while True:
        live, _latest = vercel.look(LOOKED_AT)
        order = alias_request(vercel.settings)
        if not order or order[1] not in AT_WORK:
            return live if isinstance(live, Deployment) else None
        if waiting.clock() - began >= ORDER_SECONDS:
            raise VercelError(f"Vercel still leads the domains to {order[0]} ({order[1]}): run this again later")
        waiting.sleep(1.0)


def _was_taken(vercel: Any, one: Deployment, waiting: Waiting) -> bool:
    """Return whether an order got there whose answer did not.

    :raises DoubtError: nobody can tell.
    """
    began = waiting.clock()
    while True:
        silence = None
        try:
            live, _latest = vercel.look(LOOKED_AT)
            order = alias_request(vercel.settings)
            if (live and live.id == one.id) or (order and order[0] == one.id and order[1] in AT_WORK):
                return True
        except VercelError as exc:
            silence = exc
        if waiting.clock() - began >= DOUBT_SECONDS:
            if silence:
                raise DoubtError(f"nobody knows whether the domains lead to {one.url}: {silence}") from silence
            return False
        waiting.sleep(1.0)
