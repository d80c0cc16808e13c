# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor as it is installed on a host: its files, its timer, the lines of cron it replaces. Private to this collection."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _monitor_install as made
from ansible_collections.runbook.ops.plugins.module_utils import _monitor_run
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.module_utils._monitor_plan import (
    CONFIG,
    LIB,
    SECRETS,
    UNITS,
    File,
    Installed,
)

VAR, RUN = "var/lib/runbook-ops/monitor", "run/runbook-ops-monitor"
STAMP = "var/lib/systemd/timers/stamp-runbook-ops-monitor.timer"
CRONTABS = ("etc/crontab", "etc/cron.d/*", "var/spool/cron/crontabs/*", "var/spool/cron/*")
SEND_SECONDS = 60  # what sending and writing may take beside looking
TELLS = "monitor.pyz"


class MonitorError(Exception):
    """The monitor could not be installed, changed or removed; the message says what is there now."""


def python_of_host() -> str:
    """Return the Python that the units call: the system's own name of it, which outlives an upgrade, where it is the same."""
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


class Host:
    """The host that the module runs on. ``root`` is another directory than / in tests only."""

    def __init__(self, program: Callable[[str], Callable[..., str]], *, root: str = "/") -> None:
        """Prepare to look; ``program`` returns the door to a program."""
        self.program, self.systemctl, self.root = program, program("systemctl"), Path(root)

    def wanted(self, options: Mapping[str, Any]) -> Installed:
        """Return what ``options`` ask for, whatever is there now; without crontabs."""
        if options["state"] == "absent":
            return Installed()
        config, secrets = made.make_config(options, hostname=socket.gethostname())
        start = _monitor_run.__name__  # imported so that Ansible sends it, and all that it imports
        engine = made.build_engine(made.needed_sources(read_source, start))
        name = f"monitor-{made.version(engine)}.pyz"
        hidden = _json(secrets)
        config["digest"] = made.version(_json(config) + hidden + engine)
        units = made.render_units(
            python=python_of_host(),
            engine=str(self.root / LIB / name),
            interval_seconds=options["interval_seconds"],
            limit_seconds=int(options["timeout_seconds"]) + SEND_SECONDS,
        )
        files = {
            SECRETS: File(hidden, 0o600),
            CONFIG: File(_json(config), 0o600),
            f"{LIB}/{name}": File(engine, 0o644),
            **{f"{UNITS}/{unit}": File(text.encode(), 0o644) for unit, text in units.items()},
        }
        return Installed(files, name, enabled=True, active=True)

    def observe(self) -> Installed:
        """Return what is there."""
        engines = sorted(str(path.relative_to(self.root)) for path in (self.root / LIB).glob("monitor-*.pyz"))
        paths = [SECRETS, CONFIG, *engines, *(f"{UNITS}/{unit}" for unit in made.UNITS)]
        files = {path: found for path in paths if (found := self._read(path))}
        link = self.root / LIB / TELLS
        state = dict(
            line.split("=", 1)
            for line in self.systemctl("show", made.TIMER, "--property=UnitFileState,ActiveState").splitlines()
            if "=" in line
        )
        return Installed(
            files,
            str(link.readlink()) if link.is_symlink() else None,
            enabled=state.get("UnitFileState") == "enabled",
            active=state.get("ActiveState") == "active",
            crontabs=self._crontabs(),
            leftovers=[path for path in (VAR, RUN, STAMP, *self._textfile(files)) if (self.root / path).exists()],
        )

    def command(self) -> list[str]:
        """Return what runs the engine by hand."""
        return [python_of_host(), "-I", str(self.root / LIB / TELLS)]

    def try_out(self, wanted: Installed) -> None:
        """Let the new engine read the new configuration, before either is in use.

        :raises MonitorError: it refuses it.
        """
        with tempfile.TemporaryDirectory(prefix="runbook-ops-") as folder:
            paths = {}
            for path, file in wanted.files.items():
                paths[path] = Path(folder) / Path(path).name
                write(paths[path], file)
            engine = paths[f"{LIB}/{wanted.current}"]
            try:
                self.program(python_of_host())("-I", str(engine), "check", str(paths[CONFIG]), str(paths[SECRETS]))
            except CommandError as exc:
                raise MonitorError(f"the engine refuses its configuration ({exc}); nothing was changed") from None

    def write(self, path: str, file: File) -> None:
        """Replace a file, or make it."""
        target = self.root / path
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write(target, file)

    def link(self, engine: str) -> None:
        """Let the name for people point to ``engine``."""
        link = self.root / LIB / TELLS
        partial = link.with_name(f".{link.name}.partial")
        partial.unlink(missing_ok=True)
        partial.symlink_to(engine)
        partial.replace(link)

    def remove(self, path: str) -> None:
        """Remove a file, or a directory of ours with all that is in it."""
        target = self.root / path
        if target.is_dir() and not target.is_symlink():
            for inner in target.iterdir():
                inner.unlink()
            target.rmdir()
        else:
            target.unlink(missing_ok=True)

    def remove_empty(self, *paths: str) -> None:
        """Remove those directories that hold nothing any more."""
        for path in paths:
            with contextlib.suppress(OSError):
                (self.root / path).rmdir()

    def write_crontab(self, path: str, text: str) -> None:
        """Replace a crontab; owner and mode stay, without which cron would not read it."""
        found = (self.root / path).stat()
        file = File(text.encode("utf-8", "surrogateescape"), stat.S_IMODE(found.st_mode))
        write(self.root / path, file, owner=(found.st_uid, found.st_gid))

    def digest_of_config(self) -> str:
        """Return what the configuration is known by."""
        return str(json.loads((self.root / CONFIG).read_text(encoding="utf-8"))["digest"])

    def digest_of_last_run(self) -> str | None:
        """Return which configuration the last whole run had."""
        newest: dict[str, Any] = {}
        for folder in (VAR, RUN):
            with contextlib.suppress(OSError, ValueError):
                state = json.loads((self.root / folder / "state.json").read_text(encoding="utf-8"))
                newest = max(newest, state, key=lambda one: one.get("saved", 0))
        return newest.get("config")

    def _read(self, path: str) -> File | None:
        try:
            with (self.root / path).open("rb") as file:
                return File(file.read(), stat.S_IMODE(os.fstat(file.fileno()).st_mode))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _crontabs(self) -> dict[str, str]:
        found = {}
        for pattern in CRONTABS:
            for path in sorted(self.root.glob(pattern)):
                if path.is_file() and not path.name.startswith("."):
                    text = path.read_bytes().decode("utf-8", "surrogateescape")
                    found[str(path.relative_to(self.root))] = text
        return found

    def _textfile(self, files: Mapping[str, File]) -> list[str]:
        try:
            path = json.loads(files[CONFIG].content)["textfile"] if CONFIG in files else None
        except (ValueError, KeyError, TypeError):
            path = None
        return [str(path).lstrip("/")] if path else []


def write(path: Path, file: File, owner: tuple[int, int] | None = None) -> None:
    """Replace ``path`` as a whole: whoever reads finds the old or the new."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:
            if owner:
                os.fchown(target.fileno(), *owner)
            os.fchmod(target.fileno(), file.mode)
            target.write(file.content)
            target.flush()
            os.fsync(target.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
