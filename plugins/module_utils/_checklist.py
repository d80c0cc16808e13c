# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is due again and again: when it was last done, by whom or by which run, and whether that is too long ago. Private to this collection.

What a person confirmed is a change in the record of a run; nothing else keeps it.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_change, make_check

SECTION = "Checklist"
PREFIX = "checklist:"
PLAYBOOK = "confirm"
LONGEST_AGO_DAYS = 732
REASON = re.compile(r"by (?P<by>.+?) on (?P<on>\d{4}-\d{2}-\d{2})(?:: (?P<note>.*))?", re.DOTALL)
Item = Mapping[str, Any]


class ChecklistError(Exception):
    """A confirmation is refused; the message says what to write."""


class Done(NamedTuple):
    """That something was done."""

    on: date
    how: str  # for people: by whom, or by what
    figure: float | None = None
    good: bool = True
    by: str | None = None
    at: float = 0.0  # when the run that tells it began: which of two of one day came later


def days_of(item: Item) -> int:
    """Return after how many days ``item`` is due again."""
    return max(1, int(item["every_seconds"] // 86400))


def read_confirmation(record: Mapping[str, Any], item: Item) -> Done | None:
    """Return what ``record`` says that a person did of ``item``."""
    for change in record["changes"]:
        met = REASON.fullmatch(str(change.get("reason"))) if change["thing"] == f"{PREFIX}{item['name']}" else None
        if met and change["action"] == PLAYBOOK:
            after = change.get("after")
            number = isinstance(after, (int, float)) and not isinstance(after, bool)
            figure = float(after) if number else None
            note = f": {met['note']}" if met["note"] else ""
            try:
                on = date.fromisoformat(met["on"])
            except ValueError:
                continue
            if abs((on - date.fromtimestamp(record["began"])).days) > LONGEST_AGO_DAYS + 1:
                continue  # confirm would have refused it
            return Done(on, f"done by {met['by']} on {met['on']}{note}", figure, by=met["by"], at=record["began"])
    return None


def read_proof(record: Mapping[str, Any], item: Item, on: date) -> Done | None:
    """Return what ``record`` proves of ``item``: a run that ended well, or a check that was good. A bad check proves the contrary.

    A run that left hosts of the system out, or could not see all that it looked for, proves nothing good of the system.
    """
    whole = not record.get("left_out")
    found = set(record["playbook"].split("+")) & set(item.get("proven_by") or [])
    judged = {record.get("check_status"), *(check["status"] for check in record["checks"])}
    good = record["status"] == "ok" and not judged & {"critical", "unknown"}
    if found and whole and good:
        return Done(on, f"{min(found)} ran well on {on.isoformat()}", at=record["began"])
    pattern = item.get("check")
    looks = [one for one in record["checks"] if pattern and fnmatchcase(one["id"], pattern)]
    if not looks:
        return None
    bad = [one for one in looks if one["status"] != "ok"]
    if bad:
        how = f"{bad[0]['name']} of {bad[0]['host']} was {bad[0]['status']} on {on.isoformat()}"
        return Done(on, how, good=False, at=record["began"])
    if not whole:
        return None
    how = f"{len(looks)} {'check was' if len(looks) == 1 else 'checks were'} good on {on.isoformat()}"
    return Done(on, how, at=record["began"])


def newest(*found: Done | None) -> Done | None:
    """Return the last of what was ``found``."""
    return max((one for one in found if one), key=lambda one: (one.on, one.at), default=None)


def judge(item: Item, done: Done | None, *, today: date, asked: date | None) -> dict[str, Any]:
    """Return the check of ``item``.

    :param asked: since when the playbook that asks for it has run
    """
    every, figure = days_of(item), item.get("unit")
    told: dict[str, Any] = {"value": None, "unit": figure or "days", "limit": None if figure else every}
    wanted = f": {item['what']}" if item.get("what") else ""
    if done is None:
        late = asked is not None and (today - asked).days > every
        status = "critical" if late else "warning"
        detail = f"nobody has {'entered' if figure else 'confirmed'} it yet{wanted}"
    elif not done.good:
        status, detail = "critical", f"{done.how}{wanted}"
    else:
        age, again = (today - done.on).days, done.on + timedelta(days=every)
        told["value"] = done.figure if figure else age
        status = "critical" if age > every else "ok"
        if figure and done.figure is not None:
            limits = item.get("limits") or {}
            judged, told["limit"] = judge_high(done.figure, limits.get("warning"), limits.get("critical"))
            status = "critical" if status == "critical" else judged
        shown = f"{done.figure:g} {figure}, " if figure and done.figure is not None else ""
        overdue = f"; overdue by {_days(age - every)}{wanted}" if age > every else ""
        detail = f"{shown}{done.how}, due again on {again.isoformat()}{overdue}"
    return make_check(
        f"{PREFIX}{item['name']}",
        name=item["name"],
        section=SECTION,
        status=status,
        detail=detail,
        remedy=remedy(item),
        **told,
    )


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def remedy(item: Item) -> str:
    """Return what to do, and how to say that it is done: as JSON, for names have spaces. Pasted as it is, it is refused."""
    said = {"checklist_confirm": item["name"], "checklist_by": "…"}
    if item.get("unit"):
        said["checklist_figure"] = "…"
    runs = f"run {' or '.join(item['proven_by'])}; or " if item.get("proven_by") else ""
    return f"{runs}do it, then run confirm with -e {shlex.quote(json.dumps(said, ensure_ascii=False))}"


def day_of(text: str | None, *, today: date) -> date:
    """Return the day that a person names, today without one.

    :raises ChecklistError: it is none, in the future, or too long ago.
    """
    if not text:
        return today
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ChecklistError(f"{text!r} is no date: write one like {today.isoformat()}") from None
    if day > today:
        raise ChecklistError(f"{text} is in the future, today is {today.isoformat()}: only what was done is confirmed")
    if (today - day).days > LONGEST_AGO_DAYS:
        raise ChecklistError(f"{text} is more than two years ago: correct the date")
    return day


def name_of(text: str | None) -> str:
    """Return the name of who did it.

    :raises ChecklistError: it is none.
    """
    name = " ".join((text or "").split())
    if (
        len(re.findall(r"[^\W\d_]", name)) < 2
        or len(name) > 80
        or not name.isprintable()
        or REASON.search(f"by {name}")
    ):
        raise ChecklistError(f"{name!r} is nobody's name: say who did it, with checklist_by")
    return name


def confirmation(item: Item, done: Done, before: Done | None, note: str | None) -> dict[str, Any]:
    """Return the change that says that ``item`` was done.

    :raises ChecklistError: it wants a figure and has none, or the other way round.
    """
    figure = item.get("unit")
    if done.figure is not None and not math.isfinite(done.figure):
        raise ChecklistError(f"{done.figure} is no figure: correct checklist_figure")
    if figure and done.figure is None:
        raise ChecklistError(f"{item['name']} wants a figure in {figure}: give it with checklist_figure")
    if not figure and done.figure is not None:
        raise ChecklistError(f"{item['name']} takes no figure: leave checklist_figure out")
    earlier = None if before is None else before.figure if figure else before.on.isoformat()
    more = f": {' '.join(note.split())[:200]}" if note else ""
    return make_change(
        f"{PREFIX}{item['name']}",
        action=PLAYBOOK,
        section=SECTION,
        reason=f"by {done.by} on {done.on.isoformat()}{more}",
        before=earlier,
        after=done.figure if figure else done.on.isoformat(),
        unit=figure,
    )
