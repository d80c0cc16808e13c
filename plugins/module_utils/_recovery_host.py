# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on which a system is recovered: it must be empty before, and a drill leaves it as it was. Private to this collection."""

from __future__ import annotations

import fcntl
import grp
import json
import os
import pwd
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _recovery_docker as docker
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError

KEPT = "/var/lib/runbook-ops"
TABLE = "runbook_ops_drill"
UNIT = "runbook-ops-drill.service"
BEGIN, END = "# BEGIN runbook.ops drill", "# END runbook.ops drill"
# Where packages of databases and servers keep what they are given; gone with the drill where they came with it.
STORES = (
    *(
        "/var/lib/postgresql",
        "/var/log/postgresql",
        "/etc/postgresql",
        "/var/lib/redis",
        "/var/log/redis",
        "/etc/redis",
    ),
    *("/var/lib/nginx", "/var/log/nginx", "/etc/nginx", "/usr/local/lib/node_modules", "/root/.pm2"),
    *docker.STORES,
)
# What is in here is somebody's, as a rule; none of it comes back by a recovery of this collection.
OTHERS = (
    *("/var/lib/mysql", "/var/lib/mongodb", "/var/lib/redis"),
    *("/var/lib/containers/storage", "/var/lib/lxc", "/var/lib/libvirt/images"),
)
LOCK_SECONDS = 300
FIRST_OWN_OID = 16384  # databases below it belong to PostgreSQL itself


class RecoveryHostError(Exception):
    """A host that nothing may be recovered on, or that could not be cleaned; the message is one line."""


def write_journal(path: Path, content: Mapping[str, Any]) -> None:
    """Write what was there before anything is done: a run that is killed later is cleaned up by it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_suffix(".new")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    aside.chmod(0o600)
    aside.replace(path)


def read_journal(path: Path) -> dict[str, Any] | None:
    """Return what :func:`write_journal` has written.

    :raises RecoveryHostError: it is of no use.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as exc:
        raise RecoveryHostError(f"{path} cannot be read ({exc}): throw this host away and take another") from exc
    return dict(content)


def evidence(paths: Iterable[str], *, root: Path = Path("/"), own: Path = Path(KEPT)) -> list[str]:
    """Return what shows that a host is in use, one phrase each; nothing is changed.

    :param paths: what would be restored
    :param root: where the file system of the host is
    :param own: where recoveries are kept, which is no sign of use
    """
    found = [f"{path} is there" for path in paths if _is_used(_below(root, path))]
    kept = _below(root, KEPT)
    if kept.is_dir():
        others = [one for one in sorted(kept.iterdir()) if Path(KEPT) / one.name != own and not _is_of_recoveries(one)]
        found += [f"{KEPT}/{one.name} is there" for one in others]
    found += [f"{cluster} holds databases" for cluster in clusters_with_data(root)]
    found += [f"{path} is not empty" for path in OTHERS if path not in paths and _is_used(_below(root, path))]
    sites = sorted(_below(root, "/etc/nginx/sites-enabled").glob("*"))
    found += [f"/{one.relative_to(root)} is there" for one in sites if one.name != "default"]
    units = sorted(_below(root, "/etc/systemd/system").glob("*.service"))
    found += [f"/{one.relative_to(root)} is there" for one in units if one.is_file() and not one.is_symlink()]
    for home in (*sorted(_below(root, "/home").glob("*/.pm2")), _below(root, "/root/.pm2")):
        if home.exists():
            found.append(f"/{home.relative_to(root)} is there")
    return found + docker.in_use(root)


def clusters_with_data(root: Path = Path("/")) -> list[str]:
    """Return the directories of PostgreSQL's clusters that hold databases of somebody."""
    return [
        f"/{base.parent.relative_to(root)}"
        for base in sorted(_below(root, "/var/lib/postgresql").glob("*/*/base"))
        if any(one.name.isdigit() and int(one.name) >= FIRST_OWN_OID for one in base.iterdir())
    ]


def _is_of_recoveries(kept: Path) -> bool:
    """Return whether these are records, and of nothing but recoveries, or a lock: such a run opens its own, and locks, before it looks."""
    if kept.name == "change":
        return all(one.name in ("lock", "lock.json") for one in kept.iterdir())
    return kept.name == "runs" and all("-disaster_recovery" in one.name for one in kept.glob("*.json"))


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _is_used(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        return any(path.iterdir())
    return os.path.lexists(path)


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


def is_there(program: str) -> bool:
    """Return whether the host has a program."""
    return shutil.which(program, path="/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin") is not None


def without_block(text: str) -> str:
    """Return a hosts file without the lines that a drill has written."""
    kept, ours = [], False
    for line in text.splitlines(keepends=True):
        ours = ours or line.rstrip("\n") == BEGIN
        if not ours:
            kept.append(line)
        ours = ours and line.rstrip("\n") != END
    return "".join(kept)


def packages(program: Callable[..., Any]) -> list[str]:
    """Return the names of the packages that are installed."""
    said: str = program("dpkg-query")("-W", "-f", "${Package} ${db:Status-Status}\\n")
    return [
        name
        for name, status in (line.split() for line in said.splitlines() if " " in line)
        if status != "not-installed"
    ]


def begin(wanted: Mapping[str, Sequence[str]], program: Callable[..., Any]) -> dict[str, Any]:
    """Return the journal of a recovery: what is wanted, and what there is before."""
    paths = wanted["paths"]
    made = [str(parent) for path in paths for parent in reversed(Path(path).parents) if not parent.exists()]
    watched = (*paths, *STORES, *(f"/etc/systemd/system/pm2-{one}.service" for one in wanted["accounts"]))
    return {
        "began_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **{key: list(wanted[key]) for key in ("paths", "accounts", "roles", "units")},
        "made": list(dict.fromkeys(made)),
        "there": [path for path in dict.fromkeys(watched) if os.path.lexists(path)],
        "packages": packages(program),
        "users": [one.pw_name for one in pwd.getpwall()],
        "groups": [one.gr_name for one in grp.getgrall()],
        "docker": docker.listed(program) if is_there("docker") else None,
    }


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
