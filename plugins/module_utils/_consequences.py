# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bad check follows from which: so that one fault is not read as ten. Private to this collection.

A check tells about a thing, such as ``service:nginx``, and a thing needs other things. A bad check about a thing whose
need is as bad is a consequence: it keeps its status, and says whose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Check = dict[str, Any]
# Which status of a need explains which status of what needs it: a warning below does not explain that all is down above.
EXPLAINS = {"critical": ("critical",), "unknown": ("critical", "unknown"), "warning": ("critical", "warning"), "ok": ()}
# It works until its last day: one that ends soon makes nothing slow.
WORKS_UNTIL_CRITICAL = "certificate:"


def thing_of(check: Check, about: str | Mapping[str, str] | None) -> str | None:
    """Return the thing that ``check`` tells about.

    :param about: the thing, or where one probe looks at several, things by globs that the checks' ids end with
    """
    if about is None or isinstance(about, str):
        return about
    rest = check["id"].partition(":")[2]
    return next((thing for pattern, thing in about.items() if fnmatchcase(rest, pattern)), None)


def explain(found: Sequence[tuple[Check, str | None]], needs: Mapping[str, Sequence[str]]) -> None:
    """Set ``because`` of every bad check that follows from another to the id of the one it all began with.

    :param found: the checks, each with the thing it tells about
    :param needs: the things that a thing needs; those of the needs count too
    """
    by_thing: dict[str, list[Check]] = {}
    for check, thing in found:
        if thing and check["status"] != "ok":
            by_thing.setdefault(thing, []).append(check)
    below = {thing: _below(thing, needs) for thing in {thing for _check, thing in found if thing}}
    for check, thing in found:
        causes = [
            (cause, other)
            for other in (below[thing] if thing else ())
            for cause in by_thing.get(other, ())
            if cause["status"] in EXPLAINS[check["status"]]
            and (cause["status"] == "critical" or not other.startswith(WORKS_UNTIL_CRITICAL))
        ]
        if causes:
            # What explains the others is the one that none of the others is below of.
            depth = {other: len(below.get(other, ())) for _cause, other in causes}
            check["because"] = min(causes, key=lambda pair: depth[pair[1]])[0]["id"]


def _below(thing: str, needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return all that ``thing`` needs, directly or not, without what needs it in turn: of a circle nobody is the cause."""
    seen: dict[str, None] = {}
    left = list(needs.get(thing, ()))
    while left:
        one = left.pop(0)
        if one not in seen:
            seen[one] = None
            left += needs.get(one, ())
    return [] if thing in seen else list(seen)
