# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on which a system was recovered for a drill, which leaves it as it was. Private to this collection."""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _recovery_docker as docker
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._recovery_evidence import clusters_with_data
from ansible_collections.runbook.ops.plugins.module_utils._recovery_journal import STORES, is_there, packages

TABLE = "runbook_ops_drill"
UNIT = "runbook-ops-drill.service"
BEGIN, END = "# BEGIN runbook.ops drill", "# END runbook.ops drill"
LOCK_SECONDS = 300


class Cleaner:
    """Brings a host back to what its journal says it was. Each step may be done again."""

    def __init__(self, journal: Mapping[str, Any], program: Callable[..., Any]) -> None:
        """Prepare; nothing is done yet.

        :param program: makes a ``Command`` of a name and of options
        """
        self._journal, self._program = journal, program
        self.actions: list[str] = []

    def clean(self) -> None:
        """Remove what the recovery has brought, what is personal first and the way out last.

        :raises CommandError: a program failed; what is left is done by the next run.
        """
        self._stop()
        self._drop_databases()
        self._stop_stores()
        self._empty_docker()
        self._remove_paths()
        self._remove_accounts(self._journal["accounts"])
        self._forget_names()
        self._open()
        self._purge()
        self._remove_paths()  # what packages have left
        self._remove_accounts()

    def _stop(self) -> None:
        for unit in self._journal["units"]:
            if not _is_store(unit):
                self._quietly("systemctl", "stop", unit)
        # What runs as an account that came with the recovery has come with it: a server that is told to stop may go on for a while.
        for name in [one.pw_name for one in pwd.getpwall() if one.pw_name not in self._journal["users"]]:
            _end_processes(name)
        for account in self._journal["accounts"]:
            unit = Path(f"/etc/systemd/system/pm2-{account}.service")
            if unit.exists() and not self._was_there(str(unit)):
                self._quietly("systemctl", "disable", unit.name)
                unit.unlink(missing_ok=True)
        self._quietly("systemctl", "daemon-reload")

    def _stop_stores(self) -> None:
        """Stop what databases run in, after they were dropped there."""
        for unit in filter(_is_store, self._journal["units"]):
            self._quietly("systemctl", "stop", unit)

    def _empty_docker(self) -> None:
        """Remove what the recovery has brought into Docker, and stop one that came with the recovery itself."""
        if not self._has("docker"):
            return
        before = self._journal.get("docker")
        if before is None:
            docker.stop_own(self._program)
        else:
            docker.remove_new(self._program, before, self._did)

    def _drop_databases(self) -> None:
        """Drop what a server holds that was there, and empty, before; one that came with the recovery goes as a whole.

        :raises CommandError: production's databases are there, and cannot be dropped.
        """
        if "postgresql" not in " ".join(self._journal["packages"]) or not self._has("psql"):
            return
        psql = self._program("psql", user="postgres")
        listed = "SELECT datname FROM pg_database WHERE oid >= 16384 AND NOT datistemplate;"
        try:
            names = psql("-XqAt", "-d", "postgres", stdin=listed).split("\n")
        except CommandError:
            if not clusters_with_data():
                return  # it does not run, and nothing is in it
            self._quietly("systemctl", "restart", "postgresql.service")
            names = psql("-XqAt", "-d", "postgres", stdin=listed).split("\n")
        for name in filter(None, names):
            self._did(f"drop database {name}")
            quoted = name.replace('"', '""')
            psql("-XqAt", "-v", "ON_ERROR_STOP=1", "-d", "postgres", stdin=f'DROP DATABASE "{quoted}" WITH (FORCE);')
        for role in self._journal["roles"]:
            quoted = role.replace('"', '""')
            psql("-XqAt", "-d", "postgres", stdin=f'DROP ROLE IF EXISTS "{quoted}";')

    def _purge(self) -> None:
        apt = self._program("apt-get", environment={"DEBIAN_FRONTEND": "noninteractive"})
        # What a killed run had begun goes on here by itself, or has broken off.
        wait = ("-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", "-o", "Dpkg::Options::=--force-unsafe-io")
        if not _at_work("/var/lib/dpkg/lock-frontend"):
            self._quietly("dpkg", "--configure", "-a")
        apt("install", "--fix-broken", "--yes", *wait)
        new = sorted(set(packages(self._program)) - set(self._journal["packages"]))
        if new:
            self._did(f"remove {len(new)} packages")
            apt("purge", "--yes", *wait, *new)

    def _remove_paths(self) -> None:
        stores = [path for path in (*self._journal["paths"], *STORES) if not self._was_there(path)]
        for path in stores:
            _delete(path, self._did)
        for path in self._journal["paths"]:
            if path not in STORES and self._was_there(path):
                _empty(path, self._did)
        for path in self._journal["paths"]:
            for word in ("before", "restored", "failed"):
                for one in sorted(Path(path).parent.glob(f"{Path(path).name}.{word}-*")):
                    _delete(str(one), self._did)
        for path in reversed(self._journal["made"]):
            if Path(path).is_dir() and not any(Path(path).iterdir()):
                Path(path).rmdir()
        self._remove_dead_links()

    def _remove_dead_links(self) -> None:
        for link in Path("/usr/local/bin").iterdir():
            if link.is_symlink() and not link.exists():
                link.unlink()

    def _remove_accounts(self, only: Sequence[str] | None = None) -> None:
        new = [one.pw_name for one in pwd.getpwall() if one.pw_name not in self._journal["users"]]
        for name in new if only is None else [one for one in new if one in only]:
            wanted = name in self._journal["accounts"]
            self._did(f"remove account {name}")
            _end_processes(name)
            self._quietly("userdel", *(["--remove"] if wanted else []), name)
        if only is not None:
            return
        for group in [one.gr_name for one in grp.getgrall() if one.gr_name not in self._journal["groups"]]:
            self._quietly("groupdel", group)

    def _forget_names(self) -> None:
        hosts = Path("/etc/hosts")
        before = hosts.read_text(encoding="utf-8")
        after = without_block(before)
        if after != before:
            hosts.write_text(after, encoding="utf-8")  # in place: in a container it is a mount point

    def _open(self) -> None:
        unit = Path("/etc/systemd/system") / UNIT
        if unit.exists():
            self._quietly("systemctl", "disable", UNIT)
            unit.unlink()
            self._quietly("systemctl", "daemon-reload")
        if self._has("nft"):
            self._quietly("nft", "delete", "table", "inet", TABLE)

    def _was_there(self, path: str) -> bool:
        return path in self._journal["there"]

    def _did(self, what: str) -> None:
        self.actions.append(what)

    def _has(self, program: str) -> bool:
        return is_there(program)

    def _quietly(self, program: str, *arguments: str) -> None:
        """Run what may find nothing to do."""
        if self._has(program):
            self._program(program)(*arguments, accept=range(256))


def without_block(text: str) -> str:
    """Return a hosts file without the lines that a drill has written."""
    kept, ours = [], False
    for line in text.splitlines(keepends=True):
        ours = ours or line.rstrip("\n") == BEGIN
        if not ours:
            kept.append(line)
        ours = ours and line.rstrip("\n") != END
    return "".join(kept)


def _delete(path: str, did: Callable[[str], None]) -> None:
    if not os.path.lexists(path):
        return
    did(f"delete {path}")
    if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
        shutil.rmtree(path, onerror=_unless_gone)
    else:
        os.unlink(path)  # noqa: PTH108


def _empty(path: str, did: Callable[[str], None]) -> None:
    """Make ``path`` the empty directory again that it was: with anything in it nothing would have been recovered here."""
    if not os.path.isdir(path) or os.path.islink(path):  # noqa: PTH112, PTH114
        _delete(path, did)
        Path(path).mkdir(parents=True, exist_ok=True)
    for one in sorted(Path(path).iterdir()):
        _delete(str(one), did)


def _is_store(unit: str) -> bool:
    return unit.startswith("postgresql")


def _unless_gone(_act: object, _path: str, reason: tuple[Any, BaseException, Any]) -> None:
    """Raise why something could not be deleted, unless somebody else has deleted it."""
    if not isinstance(reason[1], FileNotFoundError):
        raise reason[1]


def _at_work(lock: str) -> bool:
    """Return whether somebody installs packages at this moment."""
    try:
        with open(lock, "a") as file:  # noqa: PTH123
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _end_processes(account: str) -> None:
    """End what runs as ``account``, and wait until it has ended."""
    try:
        uid = pwd.getpwnam(account).pw_uid
    except KeyError:
        return
    if uid == 0:
        return
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = [int(one.name) for one in Path("/proc").glob("[0-9]*") if _owner(one) == uid]
        if not left:
            return
        for process in left:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.1)


def _owner(process: Path) -> int | None:
    try:
        return process.stat().st_uid
    except OSError:
        return None
