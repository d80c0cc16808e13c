# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units without systemd: a ``systemctl`` of one's own that starts programs and ends them, for benchmarks and campaigns."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

SYSTEMCTL = """#!/bin/sh
# A unit is a file of its name with the line that starts it; that its process is there is that it is active.
cd "$(dirname "$0")/units" || exit 1
verb=$1
shift
# One that has ended may wait for its parent to take note of that.
alive() {
  [ -s "$1.pid" ] && read -r _ _ state _ 2>/dev/null <"/proc/$(cat "$1.pid")/stat" && [ "$state" != Z ]
}
echo "$verb $*" >>../calls
for unit; do
  case $unit in -*|Id,*) continue ;; esac
  [ -e "$unit" ] || { echo "Unit $unit not found." >&2; exit 5; }
  case $verb in
    show) if alive "$unit"; then state=active; else state=inactive; fi
      printf 'Id=%s\\nNames=%s\\nActiveState=%s\\n\\n' "$unit" "$unit" "$state" ;;
    start) alive "$unit" || { setsid sh "$unit" >/dev/null 2>&1 </dev/null & echo $! >"$unit.pid"; } ;;
    stop) if alive "$unit"; then
        kill "$(cat "$unit.pid")"
        while alive "$unit"; do sleep 0.01; done
      fi
      rm -f "$unit.pid" ;;
  esac
done
"""


class Units:
    """Units that exist in a directory of their own; what runs of them ends with :meth:`end`."""

    def __init__(self, directory: Path, units: Mapping[str, Sequence[str]]) -> None:
        """Make ``units``, each from the program that it runs; none is started."""
        self._directory = directory
        (directory / "units").mkdir(parents=True)
        program = directory / "systemctl"
        program.write_text(SYSTEMCTL)
        program.chmod(0o755)
        for name, argv in units.items():
            (directory / "units" / name).write_text(f"exec {shlex.join(argv)}\n")

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find this systemctl first."""
        return {"PATH": f"{self._directory}:{os.environ['PATH']}"}

    def systemctl(self, *arguments: str) -> int:
        return os.spawnv(os.P_WAIT, self._directory / "systemctl", ["systemctl", *arguments])  # noqa: S606  # no shell is what we want

    def calls(self) -> list[str]:
        """Return what was asked since the last time, without what only looks."""
        path = self._directory / "calls"
        said = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.replace(" -- ", " ") for line in said if line.split()[0] in ("start", "stop")]

    def pid(self, unit: str) -> int | None:
        """Return the process of ``unit``; None where it does not run."""
        with suppress(OSError, ValueError):
            pid = int((self._directory / "units" / f"{unit}.pid").read_text())
            if Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
                return pid
        return None

    def running(self) -> list[str]:
        units = sorted(path.name for path in (self._directory / "units").iterdir() if path.suffix == ".service")
        return [unit for unit in units if self.pid(unit)]

    def end(self) -> None:
        for unit in self.running():
            pid = self.pid(unit)
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
