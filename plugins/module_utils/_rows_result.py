# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an import finds, whether it may go on, and how it is told. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import RowsError

SECTION = "Import"


@dataclass(frozen=True)
class Found:
    """How the rows of an import stand to those of one table."""

    table: str
    new: int = 0  # not there
    equal: int = 0
    different: int = 0  # there with other values
    foreign: int = 0  # of the different ones: none of those that are meant
    extra: int = 0  # meant and there, and not among those that are imported
    listed: Sequence[Mapping[str, Any]] = field(default_factory=list)

    def changes(self, params: Mapping[str, Any]) -> bool:
        """Return whether an import as asked for has something to do here."""
        replaced = self.different if params["different"] == "replace" else 0
        return bool(self.new or replaced or (self.extra and params["extra"] == "delete"))

    def words(self) -> str:
        return f"{self.new} missing, {self.different} with other values, {self.equal} equal, {self.extra} there besides"

    def deeds(self, params: Mapping[str, Any]) -> str:
        """Return in words what is done here."""
        parts = [f"{self.new} inserted"] if self.new else []
        if self.different:
            parts.append(f"{self.different} {'replaced' if params['different'] == 'replace' else 'left as they are'}")
        if self.extra and params["extra"] == "delete":
            parts.append(f"{self.extra} deleted")
        return ", ".join(parts)


class RefusedError(RowsError):
    """An import that must not be done, with what was found."""

    def __init__(self, message: str, found: Sequence[Found]) -> None:
        super().__init__(message)
        self.found = found


def reason(found: Sequence[Found], params: Mapping[str, Any]) -> str | None:
    """Return what is in the way of an import; None where nothing is."""
    theirs = [one for one in found if one.foreign]
    if theirs:
        words = "; ".join(f"{one.foreign} of {one.table}" for one in theirs)
        return (
            f"rows of somebody else have the keys of rows that would be imported ({words}): the two databases have given the same "
            "numbers to different things; nothing was changed"
        )
    unlike = [one for one in found if one.different]
    if unlike and params["different"] == "refuse":
        words = "; ".join(f"{one.different} of {one.table}" for one in unlike)
        return f"rows are there with other values ({words}): look at them, then set different to leave or replace; nothing was changed"
    return None


def refuse(found: Sequence[Found], params: Mapping[str, Any]) -> None:
    """Say what is in the way of an import.

    :raises RefusedError: something is.
    """
    why = reason(found, params)
    if why:
        raise RefusedError(why, found)


def result(
    params: Mapping[str, Any],
    found: Sequence[Found],
    *,
    path: Path,
    title: str,
    notes: Sequence[str],
    way_back: Backup | None,
    old: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what the module returns."""
    refused = reason(found, params)
    changing = [one for one in found if one.changes(params)] if not refused else []
    reported = [] if params["plan_only"] else changing
    return {
        "changed": bool(reported),
        "actions": [f"import {title} into {one.table}: {one.deeds(params)}" for one in changing]
        + [f"delete {name}" for name in old],
        "backup": str(path),
        "tables": told(found),
        "notes": list(notes),
        "refused": refused,
        "way_back": str(way_back.path) if way_back else None,
        "lines": lines(params, title, notes, found),
        "changes": [
            make_change(
                one.table,
                action="import",
                section=SECTION,
                reason=f"{title}: {one.deeds(params)}",
                after=one.new,
                unit="rows",
            )
            for one in reported
        ]
        + [make_change(name, action="delete", section=SECTION, reason="it is too old to go back to") for name in old],
        "diff": {"before": "", "after": "".join(f"{one.table}: {one.deeds(params)}\n" for one in changing)},
    }


def told(found: Sequence[Found]) -> list[dict[str, Any]]:
    """Return what was found, for programs."""
    return [asdict(one) for one in found]


def lines(params: Mapping[str, Any], title: str, notes: Sequence[str], found: Sequence[Found]) -> list[str]:
    """Return what was found and will be done, for people. No value of a row is in it."""
    said = [f"source       {title}", f"target       database {params['database']}"]
    for one in found:
        said.append(f"rows         {one.table}: {one.words()}")
        said += [f"other values {one.table} {_key(row['key'])}: {', '.join(row['columns'])}" for row in one.listed]
    said += [f"note         {note}" for note in notes]
    refused = reason(found, params)
    if refused:
        return [*said, f"refused      {refused}"]
    steps = [f"step         {one.table}: {one.deeds(params)}" for one in found if one.changes(params)]
    return said + (steps or ["step         nothing is left to do"])


def _key(key: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in key.items())
