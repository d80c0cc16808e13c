# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One account's PM2 on this host: where it lives, what it says, and the door to its CLI. Private to this collection."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._pm2 import Pm2Error, parse_jlist
from ansible_collections.runbook.ops.plugins.module_utils._pm2_socket import (
    Pm2DeniedError,
    Pm2NotRunningError,
    Pm2SocketError,
    call,
)

PLACES = ["/usr/local/bin", "/usr/local/sbin", "/usr/bin"]
GOD = "God Daemon ("  # PM2 names its process `PM2 v7.0.4: God Daemon (/home/app/.pm2)`


class Pm2Host:
    """PM2 as ``user`` has it; without a user, as the account that runs this has it."""

    def __init__(self, module: Any, user: str | None, pm2_home: str | None) -> None:
        """Look the account up.

        :raises Pm2Error: there is no such account, or this one may not act for it.
        """
        try:
            entry = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
        except KeyError:
            raise Pm2Error(f"there is no account {user!r} on this host: set user to the one that runs PM2") from None
        if entry.pw_uid != os.geteuid() and os.geteuid() != 0:
            raise Pm2Error(f"only root can act for {entry.pw_name}: set become, or run as {entry.pw_name} without user")
        self._module = module
        self._other = entry.pw_name if entry.pw_uid != os.geteuid() else None
        self._home = entry.pw_dir
        self.user = entry.pw_name
        self.pm2_home = pm2_home or str(Path(entry.pw_dir, ".pm2"))
        self.program: str | None = module.get_bin_path("pm2", opt_dirs=PLACES)

    def command(self, directory: str = "/", *, limit_seconds: float | None = None) -> Command:
        """Return the CLI, run as the account, in ``directory``, with an environment that holds nothing of ours.

        What the CLI has in its environment, the applications that it starts inherit: neither the login of whoever runs
        this nor our locale may get into them.

        :param limit_seconds: after which a call of it is ended
        :raises Pm2Error: PM2 is not installed.
        """
        if self.program is None:
            raise Pm2Error("PM2 is not installed on this host (no pm2 on the PATH): npm install -g pm2")
        clean = {
            "HOME": self._home,
            "USER": self.user,
            "LOGNAME": self.user,
            "SHELL": "/bin/sh",
            "LANG": "C.UTF-8",
            "PATH": os.pathsep.join([str(Path(self.program).parent), *os.defpath.split(os.pathsep), *PLACES[:2]]),
            "PM2_HOME": self.pm2_home,
            "PM2_DISCRETE_MODE": "true",  # no banner
        }
        within = ["env", "--chdir", directory, "-i", *(f"{key}={value}" for key, value in clean.items())]
        limited = ["timeout", f"{limit_seconds:g}"] if limit_seconds else []
        return Command(self._module, self.program, user=self._other, within=[*limited, *within])

    def processes(self) -> list[dict[str, Any]] | None:
        """Return what PM2 says of each process, or None where no daemon runs. Never starts one.

        :raises Pm2Error: the daemon cannot be asked.
        """
        path = str(Path(self.pm2_home, "rpc.sock"))
        try:
            found = call(path, "getMonitorData", {})
        except Pm2NotRunningError:
            return None
        except Pm2DeniedError:
            raise Pm2Error(f"{path} may not be opened: run as root or as its owner, and set user to that") from None
        except Pm2SocketError as exc:
            # A daemon listens there, so the CLI will not start one.
            self._module.warn(f"{exc}: asking with pm2 jlist")
            return parse_jlist(self.command()("jlist"))
        return found if isinstance(found, list) else []

    def dump(self) -> Any:
        """Return PM2's saved list as it was parsed, an empty one where there is none."""
        try:
            with os.fdopen(self._open_dump("dump.pm2"), encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return []

    def dump_is_open(self) -> bool:
        """Return whether other accounts can read the saved list, which holds the applications' secrets."""
        return any(self._each_dump(lambda descriptor: bool(os.fstat(descriptor).st_mode & 0o077)))

    def save(self, *, limit_seconds: float | None = None) -> None:
        """Have PM2 bring back after a boot what runs now, with a list for its owner alone: it holds the variables of all applications.

        PM2 empties its list, and the copy of the one before, before it writes them: where the disk is full, both stay empty. So what
        was saved is kept aside meanwhile.

        :raises CommandError: it cannot be saved; what was saved before is.
        """
        dump, aside = str(Path(self.pm2_home, "dump.pm2")), str(Path(self.pm2_home, ".dump.pm2.runbook-ops"))
        kept = False
        try:
            if self.dump():
                self._as_owner("install", "--mode=600", "--", dump, aside)
                kept = True
            self.command(limit_seconds=limit_seconds)("save", "--force")
        except CommandError:
            if kept:
                self._as_owner("mv", "--", aside, dump)
            raise
        finally:
            self._as_owner("rm", "--force", "--", aside)
        self.close_dump()

    def close_dump(self) -> None:
        """Leave the saved list, and PM2's copy of the one before, to its owner alone."""
        self._each_dump(lambda descriptor: os.fchmod(descriptor, 0o600))

    def _as_owner(self, program: str, *arguments: str) -> None:
        # The directory belongs to the application's account: only that account may be led astray in it.
        Command(self._module, program, user=self._other)(*arguments)

    def _each_dump(self, act: Callable[[int], Any]) -> list[Any]:
        found = []
        for name in ("dump.pm2", "dump.pm2.bak"):
            try:
                descriptor = self._open_dump(name)
            except OSError:  # not there
                continue
            try:
                found.append(act(descriptor))
            finally:
                os.close(descriptor)
        return found

    def _open_dump(self, name: str) -> int:
        # The directory belongs to the application's account: a link in it must not lead root to another file.
        return os.open(Path(self.pm2_home, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)

    def daemon_version(self) -> str | None:
        """Return the version of the running daemon, or None where none runs or it does not say."""
        try:
            version = call(str(Path(self.pm2_home, "rpc.sock")), "getVersion", {})
        except (Pm2NotRunningError, Pm2DeniedError, Pm2SocketError):
            return None
        return version if isinstance(version, str) else None

    def installed_version(self) -> str | None:
        """Return the version of the installed CLI, from the package it belongs to: starting Node takes 0.2 s."""
        if self.program is None:
            return None
        try:
            package = json.loads((Path(self.program).resolve().parents[1] / "package.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, IndexError):
            return None
        return package.get("version") if package.get("name") == "pm2" else None

    def latest_version(self, timeout_seconds: int) -> str | None:
        """Return the newest published version, or None, with a warning, where the registry does not answer in time."""
        try:
            npm = self._module.get_bin_path("npm", opt_dirs=PLACES)
            if npm is None:
                raise CommandError("npm is not installed")
            asked = Command(self._module, npm, within=["timeout", str(timeout_seconds)])("view", "pm2", "version")
        except CommandError as exc:
            late = exc.details.get("rc") == 124  # what `timeout` ends with
            why = f"the package registry did not answer within {timeout_seconds} s" if late else str(exc)
            self._module.warn(f"the newest version of PM2 is not known: {why}")
            return None
        return asked.strip() or None

    def other_daemons(self) -> list[str]:
        """Return the homes of other PM2 daemons on this host: a wrong user sees no applications."""
        found = set()
        for name in Path("/proc").iterdir():
            if name.name.isdigit():
                try:
                    title = (name / "cmdline").read_bytes().decode(errors="replace")
                except OSError:  # it has just ended
                    continue
                found.add(daemon_home(title))
        return sorted(found - {self.pm2_home, ""})


def daemon_home(title: str) -> str:
    """Return the home of the daemon of PM2 that calls itself so, nothing where it is another program."""
    return title.partition(GOD)[2].rstrip("\0 ").rstrip(")") if title.startswith("PM2 ") else ""
