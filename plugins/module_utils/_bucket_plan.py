# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must happen so that one place holds what another one does, and when that is too much to be meant. Private to this collection."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._bucket_list import Entry, file_time

NEW, SAME, UNSURE, REPLACED, GONE = "new", "same", "unsure", "replaced", "gone"
MICROSECOND = 1.5e-6  # and what a float of today's date cannot tell
NAMED_MOST = 20  # of a kind that are named in what is returned


class Pair(NamedTuple):
    """What is known of one name on both sides."""

    kind: str
    source: Entry | None
    target: Entry | None

    @property
    def key(self) -> str:
        """Its name."""
        return (self.source or self.target).key  # type: ignore[union-attr]  # one of them is there


class Tally:
    """How many objects and bytes, and a sum over their names, sizes and tags: in order, so that two of the same are equal."""

    def __init__(self) -> None:
        self.objects, self.bytes, self._digest = 0, 0, hashlib.sha256()

    def add(self, entry: Entry) -> None:
        """Count one more."""
        self.objects += 1
        self.bytes += entry.size
        self._digest.update(f"{entry.key}\t{entry.size}\t{entry.tag}\n".encode("utf-8", "surrogateescape"))

    def told(self) -> dict[str, Any]:
        """Return all three."""
        return {"objects": self.objects, "bytes": self.bytes, "sha256": self._digest.hexdigest()}


class Plan:
    """What is to be done, and how much that is. All but a few names is in a file without a name, so memory stays flat."""

    def __init__(self) -> None:
        self.spool: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115  # it lives as long as the plan
        self.source, self.target = Tally(), Tally()
        self.counts = {NEW: 0, SAME: 0, REPLACED: 0, GONE: 0}
        self.bytes = {NEW: 0, REPLACED: 0, GONE: 0}
        self.grows = self.largest = 0
        self.named: dict[str, list[str]] = {NEW: [], REPLACED: [], GONE: []}
        self.left_out: list[str] = []
        self.left_out_count = 0

    def add(self, one: Pair) -> None:
        """Take note of one name."""
        self.counts[one.kind] += 1
        if one.source:
            self.source.add(one.source)
        if one.target:
            self.target.add(one.target)
        if one.kind == SAME:
            return
        size = one.source.size if one.source else 0
        self.bytes[one.kind] += size or (one.target.size if one.target and not one.source else 0)
        self.largest = max(self.largest, size)
        self.grows += size - (one.target.size if one.target else 0)
        if len(self.named[one.kind]) < NAMED_MOST:
            self.named[one.kind].append(one.key)
        self.spool.write(f"{json.dumps(one)}\n")

    def leave_out(self, entry: Entry, reason: str) -> None:
        """Take note of what cannot be copied at all."""
        self.left_out_count += 1
        if len(self.left_out) < NAMED_MOST:
            self.left_out.append(f"{entry.key}: {reason}")

    def steps(self, *kinds: str) -> Iterator[Pair]:
        """Yield what is to be done, in order."""
        self.spool.seek(0)
        for line in self.spool:
            kind, source, target = json.loads(line)
            if kind in kinds:
                yield Pair(kind, Entry(*source) if source else None, Entry(*target) if target else None)


class Rails(NamedTuple):
    """How much may change in one run, in percent of what is there."""

    max_delete_percent: float
    max_replace_percent: float


def pair(source: Iterator[Entry], target: Iterator[Entry]) -> Iterator[Pair]:
    """Yield what stands on either side, name by name. Both must be in order."""
    left, right = next(source, None), next(target, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.key < right.key):
            yield Pair(NEW, left, None)
            left = next(source, None)
        elif left is None or right.key < left.key:
            yield Pair(GONE, None, right)
            right = next(target, None)
        else:
            yield Pair(judge(left, right), left, right)
            left, right = next(source, None), next(target, None)


def judge(source: Entry, target: Entry) -> str:
    """Return whether both hold the same content, as far as a listing tells.

    A file is the same where it has the object's size, and its time and tag as they were given to it. Two tags of the same content may
    differ: by the parts in which it was sent, or by encryption with a key. Then what was noted with the copy decides.
    """
    if source.size != target.size:
        return REPLACED
    if source.tag and target.tag:
        return SAME if source.tag == target.tag else UNSURE
    if source.tag:
        exact = target.modified_at % 1 > 0  # some file systems keep whole seconds only
        wanted = file_time(source) if exact else int(source.modified_at)
        return SAME if abs(target.modified_at - wanted) < MICROSECOND else REPLACED
    return UNSURE


def refusal(
    counts: dict[str, int], there: int, rails: Rails, *, deletes: bool, last: int | None, now: int
) -> str | None:
    """Return why a run is too much to be meant, None where it is not.

    :param counts: how many are new, the same, replaced and gone
    :param there: how many the target holds
    :param deletes: whether what is gone would be deleted
    :param last: how many the source held when it was last copied, where that is known
    :param now: how many it holds
    """
    first = "Nothing was changed. See who deleted or changed them, and whether bucket, prefix and keys are right; where it is meant, "
    if there and not now and rails.max_delete_percent < 100:
        return f"the source is empty, and the target holds {there} objects. {first}raise max_delete_percent to 100"
    if deletes and counts[GONE] > there * rails.max_delete_percent / 100:
        return (
            f"{counts[GONE]} of the {there} objects of the target are no longer in the source, allowed are "
            f"{rails.max_delete_percent:g} % in one run. {first}raise max_delete_percent"
        )
    if last and last - now > last * rails.max_delete_percent / 100:
        return (
            f"the source holds {now} objects, it held {last} when it was last copied, allowed to go are "
            f"{rails.max_delete_percent:g} % in one run. {first}raise max_delete_percent"
        )
    if counts[REPLACED] > there * rails.max_replace_percent / 100:
        return (
            f"{counts[REPLACED]} of the {there} objects of the target would be replaced by others of the same name, allowed are "
            f"{rails.max_replace_percent:g} % in one run. {first}raise max_replace_percent"
        )
    return None
