# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache directory (never the tree): keys, settings, inventories, logs, locks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


def say(text: str) -> None:
    """Tell the person at the keyboard what is going on."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Workplace:
    """Where everything that is not part of the repository lives."""

    root: Path

    @classmethod
    def find(cls) -> Workplace:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        workplace = cls(Path(os.environ.get("RUNBOOK_OPS_CACHE") or caches / "runbook-ops"))
        for directory in (workplace.logs, workplace.inventory, workplace.locks, workplace.ssh, workplace.artefact):
            directory.mkdir(parents=True, exist_ok=True)
        return workplace

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def inventory(self) -> Path:
        return self.root / "inventory"

    @property
    def artefact(self) -> Path:
        return self.root / "artefact"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def ssh(self) -> Path:
        return self.root / "ssh"

    @property
    def key(self) -> Path:
        """Return the private key that opens the hosts, made at its first use."""
        path = self.ssh / "id_ed25519"
        with self.lock("key"):
            if not path.exists():
                argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "runbook.ops test hosts", "-f", str(path)]
                subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
        return path

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Keep other processes out while the block runs; the kernel lets go if this one dies."""
        with (self.locks / name).open("w", encoding="ascii") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
