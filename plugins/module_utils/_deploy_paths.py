# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the state of a service's deploys lies, and how a file of it is read and replaced. Private to this collection.

::

    /var/lib/runbook-ops/deploy/<service>/     root's alone
        live.json                              which slot gets the requests
        journal.json                           what the deploy at work, or cut off, has begun
        ledger.jsonl                           what became of the releases
        work.lock                              held by the one call that is at work
        build.lock                             held by who makes or removes releases
        releases/<id>.json                     facts of a whole release
        releases/<id>.env                      the variables it runs with
        slots/<slot>/                          what a slot is run from
    /run/runbook-ops/deploy/<service>/         live.sock and the slots' sockets
    /var/lib/runbook-ops/change/               the lock of the whole host
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file, sync_directory

ROOT = "/var/lib/runbook-ops/deploy"
RUN = "/run/runbook-ops/deploy"
# Of a service, a release, a slot: one part of a path, never hidden.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,99}")


class StateError(Exception):
    """A file of the state that cannot be read or written; the message is one line and says what to do."""


class DeployPaths:
    """The places of one service."""

    def __init__(self, service: str, root: str = ROOT, run: str = RUN) -> None:
        """:raises StateError: ``service`` is no name of a directory."""
        self.service = _part(service)
        self.directory = Path(root, self.service)
        self.run_directory = Path(run, self.service)
        self.live = self.directory / "live.json"
        self.journal = self.directory / "journal.json"
        self.ledger = self.directory / "ledger.jsonl"
        self.lock = self.directory / "work.lock"
        self.build_lock = self.directory / "build.lock"
        self.releases = self.directory / "releases"
        self.slots = self.directory / "slots"
        self.change = Path(root).parent / "change"
        self.live_socket = self.run_directory / "live.sock"

    def release(self, identity: str) -> Path:
        """Return the file of a release's facts. Without it, it is not whole."""
        return self.releases / f"{_part(identity)}.json"

    def environment(self, identity: str) -> Path:
        """Return the file of the variables that a release runs with: one JSON object, for root alone."""
        return self.releases / f"{_part(identity)}.env"

    def slot(self, name: str) -> Path:
        """Return the directory of what a slot is run from."""
        return self.slots / _part(name)

    def slot_socket(self, name: str) -> Path:
        """Return the socket that leads to a slot."""
        return self.run_directory / f"{_part(name)}.sock"

    def make(self) -> None:
        """Make the directories of the state, for root alone.

        :raises StateError: they cannot be made.
        """
        try:
            for directory in (self.directory.parent, self.directory, self.releases, self.slots):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                directory.chmod(0o700)
        except OSError as exc:
            raise StateError(f"cannot make {exc.filename} ({exc.strerror}): run as root") from exc


def read_json(path: Path) -> dict[str, Any] | None:
    """Return what ``path`` holds; None where there is no such file.

    :raises StateError: it cannot be read: what is there is not known then, and nothing must be done.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise StateError(
            f"{path} cannot be read ({exc}): look at the service by hand, then move the file away"
        ) from exc
    if not isinstance(found, dict):
        raise StateError(f"{path} does not hold an object: look at the service by hand, then move the file away")
    return found


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace ``path`` by ``content`` in one rename, for its owner alone; it survives a power cut.

    :raises StateError: it cannot be written; what was there is there.
    """
    try:
        replace_file(path, f"{json.dumps(content, indent=1, sort_keys=True)}\n".encode())
    except OSError as exc:
        raise StateError(f"cannot write {path} ({exc.strerror}): nothing was done after that") from exc


def remove(path: Path) -> None:
    """Remove a file of the state, so that it stays away after a power cut; it need not be there.

    :raises StateError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
        sync_directory(path.parent)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise StateError(f"cannot remove {path}: {exc.strerror}") from exc


def _part(name: str) -> str:
    if not NAME.fullmatch(name):
        raise StateError(f"{name!r} cannot be the name of a file: letters, digits and . _ : @ - only, up to 100")
    return name
