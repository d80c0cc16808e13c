# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that an engine is installed on: its files, its crontabs, its Python. Private to this collection."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible_collections.runbook.ops.plugins.module_utils._engine_file import ETC, LIB, UNITS, File
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

STATES = "--property=Id,UnitFileState,ActiveState,NeedDaemonReload"
TRIAL = "runbook-ops-trial-"  # followed by the process that tries
STAMPS = "var/lib/systemd/timers"
CRONTABS = ("etc/crontab", "etc/cron.d/*", "var/spool/cron/crontabs/*", "var/spool/cron/*")


def python_of_host() -> str:
    """Return the Python that units call: the system's own name of it, which outlives an upgrade, where it is the same."""
    system = "/usr/bin/python3"
    same = os.path.exists(system) and os.path.realpath(system) == os.path.realpath(sys.executable)  # noqa: PTH110
    return system if same else sys.executable


def read_source(name: str) -> str | None:
    """Return the source of a module of this collection, from a directory or from the archive that Ansible sends."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    return spec.loader.get_source(name) if spec and hasattr(spec.loader, "get_source") else None  # type: ignore[union-attr]


class EngineHost:
    """The host that the module runs on, by paths below its root. ``root`` is another directory than / in tests only."""

    tells = ""  # the name for people, in LIB, that points to the engine
    own: tuple[str, ...] = (LIB, ETC)  # directories that go once they hold nothing

    def __init__(self, program: Callable[[str], Callable[..., str]], *, root: str = "/") -> None:
        """Prepare to look; ``program`` returns the door to a program."""
        self.program, self.systemctl, self.root = program, program("systemctl"), Path(root)

    def command(self) -> list[str]:
        """Return what runs the engine by hand."""
        return [python_of_host(), "-I", str(self.root / LIB / self.tells)]

    def read(self, path: str) -> File | None:
        """Return a file, None where there is none."""
        try:
            with (self.root / path).open("rb") as file:
                return File(file.read(), stat.S_IMODE(os.fstat(file.fileno()).st_mode))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def engines(self, pattern: str) -> list[str]:
        """Return the paths of the engines whose names match."""
        return sorted(str(path.relative_to(self.root)) for path in (self.root / LIB).glob(pattern))

    def current(self) -> str | None:
        """Return the name of the engine that the name for people points to."""
        link = self.root / LIB / self.tells
        return str(link.readlink()) if link.is_symlink() else None

    def states(self, timers: list[str]) -> tuple[list[str], list[str]]:
        """Return which of ``timers`` are enabled and run, and which of them and of what they start systemd knows otherwise than their files say.

        A timer that runs goes on by what systemd has read, whatever stands in its file: a run that was killed before it told systemd leaves that.
        """
        if not timers:
            return [], []
        services = [timer.replace(".timer", ".service") for timer in timers]
        on, stale = [], []
        for block in self.systemctl("show", *timers, *services, STATES).split("\n\n"):
            told = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            if told.get("UnitFileState") == "enabled" and told.get("ActiveState") == "active":
                on.append(told["Id"])
            if told.get("NeedDaemonReload") == "yes":
                stale.append(told["Id"])
        return [timer for timer in timers if timer in on], stale

    def running(self, timers: list[str]) -> list[str]:
        """Return the services of ``timers`` that run at this moment."""
        services = [timer.replace(".timer", ".service") for timer in timers]
        blocks = self.systemctl("show", *services, STATES).split("\n\n") if services else []
        told = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
        return [one["Id"] for one in told if one.get("ActiveState") in ("activating", "deactivating")]

    def partials(self, units: str) -> list[str]:
        """Return what a run left that was killed while it wrote a file: ours, of ``units``, or a crontab's."""
        stem = self.tells.split(".", maxsplit=1)[0]
        patterns = [f"{LIB}/.{stem}*.partial", f"{ETC}/.{stem}*.partial", f"{UNITS}/.{units}*.partial"]
        patterns += [f"{Path(one).parent}/.{Path(one).name}.partial" for one in CRONTABS]
        found = [path for pattern in patterns for path in self.root.glob(pattern)]
        led = [path.resolve() for path in self._crontabs() if path.is_symlink()]
        beside = [path.with_name(f".{path.name}.partial") for path in led]
        found += [path for path in beside if path.exists() and path.is_relative_to(self.root)]
        return sorted(str(path.relative_to(self.root)) for path in found)

    @contextlib.contextmanager
    def trial(self) -> Iterator[Path]:
        """Yield a directory in memory to try things out in; what a killed run left there is removed."""
        above = self.root / "run"
        above.mkdir(exist_ok=True)
        folder = above / f"{TRIAL}{os.getpid()}"
        for left in above.glob(f"{TRIAL}*"):
            if left == folder or not Path("/proc", left.name[len(TRIAL) :]).exists():
                shutil.rmtree(left, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def crontabs(self) -> dict[str, str]:
        """Return the text of each crontab by its path."""
        texts = {path: path.read_bytes().decode("utf-8", "surrogateescape") for path in self._crontabs()}
        return {str(path.relative_to(self.root)): text for path, text in texts.items()}

    def _crontabs(self) -> list[Path]:
        listed = [path for pattern in CRONTABS for path in sorted(self.root.glob(pattern))]
        return [path for path in listed if path.is_file() and not path.name.startswith(".")]

    def write(self, path: str, file: File) -> None:
        """Replace a file, or make it."""
        target = self.root / path
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write(target, file)

    def write_crontab(self, path: str, text: str) -> None:
        """Replace a crontab; owner and mode stay, without which cron would not read it."""
        target = (self.root / path).resolve()  # a link stays one
        found = target.stat()
        file = File(text.encode("utf-8", "surrogateescape"), stat.S_IMODE(found.st_mode))
        write(target, file, owner=(found.st_uid, found.st_gid))

    def link(self, engine: str) -> None:
        """Let the name for people point to ``engine``."""
        link = self.root / LIB / self.tells
        partial = link.with_name(f".{link.name}.partial")
        partial.unlink(missing_ok=True)
        partial.symlink_to(engine)
        partial.replace(link)

    def unlink(self) -> None:
        """Remove the name for people."""
        self.remove(f"{LIB}/{self.tells}")

    def remove(self, path: str) -> None:
        """Remove a file, or a directory of ours with all that is in it."""
        target = self.root / path
        if target.is_dir() and not target.is_symlink():
            for inner in target.iterdir():
                inner.unlink()
            target.rmdir()
        else:
            target.unlink(missing_ok=True)

    def touch_stamp(self, timer: str) -> None:
        """Let a timer that does not run count from now on when it starts, not from its last run."""
        with contextlib.suppress(FileNotFoundError):  # no timer of this machine has a stamp
            (self.root / STAMPS / f"stamp-{timer}").touch()

    def remove_empty(self, *paths: str) -> None:
        """Remove those directories that hold nothing any more."""
        for path in paths:
            with contextlib.suppress(OSError):
                (self.root / path).rmdir()


def write(path: Path, file: File, owner: tuple[int, int] | None = None) -> None:
    """Replace ``path`` as a whole: whoever reads finds the old or the new."""
    replace_file(path, file.content, mode=file.mode, owner=owner)
