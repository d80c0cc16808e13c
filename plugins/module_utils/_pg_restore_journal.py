# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore intends and has done, on disk before it is done: a killed one is finished or undone by it. Private to this collection.

::

    <directory>/<database>@<system identifier>.json   the last restore of this database of this server
    <directory>/.<database>@<…>.lock                  held while one is at work
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible_collections.runbook.ops.plugins.module_utils._lock_file import HeldError, take
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

FORMAT = 1


class JournalError(Exception):
    """A journal that cannot be read or written, or is somebody else's just now; the message is one line."""


class Journal:
    """The journal of one database of one server. What it tells is a plain dict; None is: never restored here."""

    def __init__(self, directory: Path, database: str, server: str) -> None:
        self.directory = directory
        self._stem = f"{quote(database, safe='')}@{server}"
        self.path = directory / f"{self._stem}.json"

    def read(self) -> dict[str, Any] | None:
        """Return what is written.

        :raises JournalError: it cannot be read: what was begun is not known then, and nothing must be done.
        """
        try:
            entry = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            raise JournalError(
                f"the journal {self.path} cannot be read ({exc}): look at the databases by hand, then move it away"
            ) from exc
        if not isinstance(entry, dict) or entry.get("format") != FORMAT:
            raise JournalError(
                f"the journal {self.path} is not of format {FORMAT}: read it with the version that wrote it"
            )
        return entry

    def write(self, entry: Mapping[str, Any]) -> None:
        """Replace what is written; it survives a power cut.

        :raises JournalError: it cannot be written.
        """
        text = json.dumps({**entry, "format": FORMAT}, indent=1, sort_keys=True) + "\n"
        try:
            replace_file(self.path, text.encode(), aside=f".{self._stem}.partial")
        except OSError as exc:
            raise JournalError(
                f"cannot write the journal {self.path} ({exc.strerror}): nothing was done after that"
            ) from exc

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock: one restore of a database at a time. A process that dies lets go of it.

        :raises JournalError: another process holds it, or the directory cannot be made.
        """
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = take(self.directory / f".{self._stem}.lock")
        except HeldError as exc:
            raise JournalError(f"{exc} restores this database at this moment: wait until it has ended") from exc
        except OSError as exc:
            raise JournalError(
                f"cannot keep a journal in {self.directory} ({exc.strerror}): run as root, or set journal_directory"
            ) from exc
        try:
            yield
        finally:
            os.close(handle)
