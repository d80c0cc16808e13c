# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a deploy has come, on disk before and after each step: one that was killed is finished or undone by it.

Private to this collection.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import (
    DeployPaths,
    StateError,
    read_json,
    remove,
    write_json,
)
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached

FORMAT = 1

# In this order, but for the last: returning is the way back from switched.
PHASES = ("prepared", "started", "gated", "switching", "switched", "watched", "good", "returning")
BEFORE = PHASES[:3]  # nothing that is asked for by users has changed yet

Commit = Callable[[], AbstractContextManager[None]]  # nobody has taken the lock over, for as long as it is open


class Entry(NamedTuple):
    """One deploy, or one rollback, that is at work or was cut off."""

    run: str
    kind: str  # deploy | rollback
    release: str
    slot: str
    back_release: str | None  # what served before; None where nothing did
    back_slot: str | None
    phase: str
    began_at: float  # seconds since 1970
    parked: bool = False  # it may stand staged until somebody promotes it
    switched_at: float | None = None
    reason: str | None = None


class Journal:
    """The journal of one service. An entry stands there from the first step to the last."""

    def __init__(self, paths: DeployPaths, commit: Commit) -> None:
        self._path = paths.journal
        self._commit = commit

    def read(self) -> Entry | None:
        """Return what was begun and has not ended.

        :raises StateError: it cannot be read: what was begun is not known then, and nothing must be done.
        """
        found = read_json(self._path)
        if found is None:
            return None
        if found.get("format") != FORMAT or found.get("phase") not in PHASES:
            raise StateError(f"{self._path} is not of format {FORMAT}: read it with the version that wrote it")
        try:
            return Entry(**{key: found[key] for key in Entry._fields if key in found})
        except TypeError:
            raise StateError(f"{self._path} is not whole: look at the service by hand, then move it away") from None

    def write(self, entry: Entry, phase: str, **more: Any) -> Entry:
        """Write that ``entry`` is in ``phase`` now, and return it so.

        :raises StateError: it cannot be written.
        """
        entry = entry._replace(phase=phase, **more)
        reached(f"deploy:before-{phase}")
        with self._commit():
            write_json(self._path, {"format": FORMAT, **entry._asdict()})
        reached(f"deploy:{phase}")
        return entry

    def clear(self) -> None:
        """End the entry.

        :raises StateError: it cannot be removed.
        """
        reached("deploy:before-ended")
        with self._commit():
            remove(self._path)
        reached("deploy:ended")
