# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drive apt and dpkg. Private to this collection."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._apt_install import (
    HELD,
    INSTALL,
    LATER,
    MARK,
    UNFINISHED,
    AptError,
    policy,
)
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

# Nothing may ask, and needrestart must not restart services by itself.
QUIET = {
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
POLICY = "usr/sbin/policy-rc.d"
CONFIGURE_SECONDS = 1800
LOCKED = "locked by another process"
LOOK_SECONDS = 1.0
ABSENT = ("not-installed", "config-files", "half-installed")  # the version that dpkg names is not there, or not whole
MARKS = "var/lib/runbook-ops/package_updates/automatic"  # what a run that was killed has not marked again


class Apt:
    """The programs of apt on this host."""

    def __init__(self, module: Any, root: Path = Path("/")) -> None:
        """:raises AptError: this host has none."""
        self._marks = root / MARKS
        if module.get_bin_path("apt-get") is None:
            raise AptError("this host has no apt-get: leave package_updates out for it")
        self._module = module
        self.get = Command(module, "apt-get")
        self.mark = Command(module, "apt-mark")
        self.cache = Command(module, "apt-cache")
        self.query = Command(module, "dpkg-query")

    def install(self, arguments: Sequence[str], *, limit: float) -> None:
        """Run ``apt-get`` to change packages. What was installed because another package needs it stays known as that.

        :raises AptError: it cannot be written down what is known as that.
        :raises CommandError: it failed; packages that were done by then stay so.
        """
        named = {argument.partition("=")[0] for argument in arguments}
        self._note(sorted({*self._noted(), *(named & set(self.mark("showauto").split()))}))
        try:
            self._changing("apt-get", limit)(*arguments)
        except CommandError as exc:
            if exc.details.get("rc") == 124:
                raise CommandError(
                    f"apt-get did not end within {limit:g} s: look at it, then run this again", **exc.details
                ) from exc
            raise
        finally:
            self.restore_marks()

    def lost_marks(self) -> list[str]:
        """Return the packages that count as asked for by hand since a run was killed, and were not before."""
        noted = self._noted()
        return sorted(noted & set(self.mark("showmanual").split())) if noted else []

    def restore_marks(self) -> None:
        """Mark them as automatic again, and forget them.

        :raises CommandError: it failed; they are known to the next run.
        """
        lost = self.lost_marks()
        if lost:
            self.mark("auto", *lost)
        with suppress(OSError):
            self._marks.unlink()

    def _noted(self) -> set[str]:
        try:
            return set(self._marks.read_text("utf-8", errors="replace").split())
        except OSError:
            return set()

    def _note(self, names: Sequence[str]) -> None:
        if names:
            try:
                self._marks.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                replace_file(self._marks, "\n".join(names).encode())
            except OSError as exc:
                raise AptError(f"cannot write {self._marks} ({exc.strerror}): run as root") from exc

    def is_cut_off(self) -> bool:
        """Return whether packages wait for what :meth:`configure` does. ``dpkg --audit`` names much that it does not mend."""
        return bool(UNFINISHED & set(self.query("--show", "--showformat=${db:Status-Status}\\n").split()))

    def versions(self) -> dict[str, set[str]]:
        """Return the versions that are unpacked, by name, and by name and architecture: ``libc6`` and ``libc6:i386``.

        :raises CommandError: dpkg does not tell.
        """
        form = "${Package}:${Architecture} ${Version} ${db:Status-Status}\\n"
        found: dict[str, set[str]] = {}
        for line in self.query("--show", f"--showformat={form}").splitlines():
            parts = line.split()
            if len(parts) == 3 and parts[2] not in ABSENT:
                for name in (parts[0], parts[0].partition(":")[0]):
                    found.setdefault(name, set()).add(parts[1])
        return found

    def configure(self, *, lock_timeout_seconds: float) -> None:
        """Finish what was cut off, or what another program is about to finish: dpkg itself does not wait for that one.

        :raises CommandError: it failed.
        """
        quiet = [part.partition("=")[2] for part in INSTALL if part.startswith("Dpkg::")]
        end = time.monotonic() + lock_timeout_seconds
        while True:
            try:
                self._changing("dpkg", CONFIGURE_SECONDS)("--configure", "-a", *quiet)
            except CommandError as exc:
                if LOCKED not in exc.details.get("stderr", "") or time.monotonic() >= end:
                    raise
                time.sleep(LOOK_SECONDS)
            else:
                return

    def _changing(self, program: str, limit: float) -> Command:
        return Command(self._module, program, within=["timeout", "--kill-after=60", f"{limit:g}"], environment=QUIET)


@contextmanager
def guarded(root: Path, units: Sequence[str], pid: int) -> Iterator[None]:
    """Have packages leave ``units`` alone. A policy that somebody else has set stays, and counts.

    :raises AptError: another run has one in force, or it cannot be written.
    """
    path = root / POLICY
    text = policy(units, pid, started(pid)).encode() if units else b""
    holder = _holder(path)
    if units and holder not in (None, pid):
        raise AptError(
            f"process {holder} installs packages with services to leave alone: run this again once it has ended"
        )
    foreign = path.exists() and MARK.encode() not in path.read_bytes()
    if not units or foreign:
        yield
        return
    try:
        replace_file(path, text, mode=0o755)
    except OSError as exc:
        raise AptError(f"cannot write {path} ({exc.strerror}): run as root") from exc
    try:
        yield
    finally:
        with suppress(OSError):
            if path.read_bytes() == text:
                path.unlink()


def sweep(root: Path) -> None:
    """Remove the policy that a run left which was killed."""
    path = root / POLICY
    with suppress(OSError):
        if MARK.encode() in path.read_bytes() and _holder(path) is None:
            path.unlink()


def _holder(path: Path) -> int | None:
    """Return the process for which a policy of ours is in force."""
    with suppress(OSError):
        held = HELD.search(path.read_text("utf-8", errors="replace"))
        if held and _is_alive(int(held[1]), held[2]):
            return int(held[1])
    return None


def _is_alive(pid: int, since: str) -> bool:
    try:
        stat = _stat(pid)
    except (OSError, IndexError):
        return False
    return stat[0] != "Z" and stat[19] == since


def started(pid: int) -> str:
    """Return when a process began, in ticks since the host did."""
    return _stat(pid)[19]


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()


def later_files(root: Path) -> set[str]:
    """Return the configuration files that packages have put beside those of the host."""
    places = os.walk(root / "etc")
    return {
        f"/{Path(place, name).relative_to(root)}"
        for place, _meta, names in places
        for name in names
        if name.endswith(LATER)
    }


def free_bytes(root: Path) -> int:
    """Return the bytes that are free in the fullest of the places that packages need."""
    free = []
    for place in ("usr", "var/cache/apt"):
        with suppress(OSError):
            stat = os.statvfs(root / place)
            free.append(stat.f_frsize * stat.f_bavail)
    return min(free, default=0)
