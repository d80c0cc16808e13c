# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the parts of ``make test`` side by side: as many as there are lanes, and never two on one host.

Each part is a target of the Makefile. A line tells when one begins and ends, its output is shown when it has ended, and in
between what each one said last. At the end stands what each took. The first one that fails lets no other begin.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runbook-ops"
LOGS = CACHE / "logs"
POLL_SECONDS = 0.5
TOLD_SECONDS = 60.0
OWLIVION = ("owlivion-12", "owlivion-13")
SYSTEMS = (*OWLIVION, "plugspace", "newsletter", "mediasearch", "lifeplatform")


@dataclass(frozen=True)
class Stage:
    """A part: the hosts that it has to itself, and the parts that must have passed before."""

    name: str
    hosts: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


# In the order in which they begin where they may: what fails soonest first, then the longest.
STAGES = (
    Stage("images"),
    Stage("lint"),
    Stage("types"),
    Stage("unit"),
    Stage("molecule", SYSTEMS, ("images",)),
    Stage("integration", ("tools-12",), ("images",)),
    Stage("local"),
    Stage("sanity"),
    Stage("artefact"),
    Stage("faults-owlivion-13", ("owlivion-13",), ("molecule",)),
    Stage("faults-owlivion-12", ("owlivion-12", "orchard-web", "orchard-store", "drill-12"), ("molecule",)),
    Stage("faults-lifeplatform", ("lifeplatform", "drill-13"), ("molecule",)),
    Stage("faults-newsletter", ("newsletter",), ("molecule",)),
    Stage("faults-plugspace", ("plugspace",), ("molecule",)),
    Stage("faults-mediasearch", ("mediasearch",), ("molecule",)),
    Stage("controller", ("owlivion-13",), ("faults-owlivion-13", "artefact")),
    Stage("system", ("owlivion-12",), ("faults-owlivion-12",)),
)


def ready(waiting: Sequence[Stage], running: Collection[Stage], passed: Collection[str]) -> Stage | None:
    """Return the stage that may begin next, if one may."""
    taken = {host for stage in running for host in stage.hosts}
    free = (stage for stage in waiting if not taken & set(stage.hosts) and set(stage.after) <= set(passed))
    return next(free, None)


@dataclass
class Run:
    """A stage that runs, and what it took once it has ended."""

    stage: Stage
    process: subprocess.Popen[bytes]
    started: float
    seconds: float = 0.0
    processor_seconds: float = 0.0
    code: int | None = None

    @classmethod
    def begin(cls, stage: Stage) -> Run:
        with log(stage).open("wb") as output:
            command = [os.environ.get("MAKE", "make"), stage.name]
            process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        return cls(stage, process, time.monotonic())

    def ended(self) -> bool:
        """Return whether it has ended, and note what it took: the work on hosts is not among its processor seconds."""
        pid, status, used = os.wait4(self.process.pid, os.WNOHANG)
        self.seconds = time.monotonic() - self.started
        if not pid:
            return False
        self.processor_seconds = used.ru_utime + used.ru_stime
        self.code = self.process.returncode = os.waitstatus_to_exitcode(status)
        return True


def log(stage: Stage) -> Path:
    return LOGS / f"test-{stage.name}.log"


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def tell_of(run: Run) -> None:
    """Print the last line of what a stage has said until now."""
    lines = log(run.stage).read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing yet")
    say(f"  {run.stage.name} since {run.seconds:.0f} s: {last[-110:]}")


def show(run: Run, ended: int) -> None:
    """Print all that a stage said, and how it ended."""
    print(log(run.stage).read_text(encoding="utf-8", errors="replace"), flush=True)
    how = "passed" if run.code == 0 else f"FAILED ({run.code})"
    say(f"{run.stage.name} {how} after {run.seconds:.0f} s: {ended} of {len(STAGES)}")


def run_all(lanes: int) -> list[Run]:
    """Run the stages and return those that ran."""
    running: list[Run] = []
    try:
        return _run_all(lanes, running)
    finally:
        for run in running:  # this was stopped: so are they
            run.process.terminate()


def _run_all(lanes: int, running: list[Run]) -> list[Run]:
    waiting, ended = list(STAGES), list[Run]()
    told = time.monotonic()
    while True:
        failed = any(run.code for run in ended)
        passed = {run.stage.name for run in ended if run.code == 0}
        while not failed and len(running) < lanes:
            stage = ready(waiting, [run.stage for run in running], passed)
            if stage is None:
                break
            waiting.remove(stage)
            running.append(Run.begin(stage))
            say(f"{stage.name} begins")
        if not running:
            return ended
        time.sleep(POLL_SECONDS)
        for run in [run for run in running if run.ended()]:
            running.remove(run)
            ended.append(run)
            show(run, len(ended))
        if time.monotonic() - told > TOLD_SECONDS:
            told = time.monotonic()
            for run in running:
                tell_of(run)


def main() -> int:
    # One more than there are processors: a run on a host waits now and then.
    lanes = int(os.environ.get("LANES") or (os.cpu_count() or 1) + 1)
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    ended = run_all(lanes)
    print("\n seconds  of a processor, here  part")
    for run in sorted(ended, key=lambda run: -run.seconds):
        print(
            f"{run.seconds:8.0f}  {run.processor_seconds:20.0f}  {run.stage.name}{'' if run.code == 0 else ': FAILED'}"
        )
    print(
        f"{time.monotonic() - started:8.0f}  {sum(run.processor_seconds for run in ended):20.0f}  in all, {lanes} side by side"
    )
    return int(any(run.code for run in ended))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
