# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a run of a playbook in the middle, as a power cut at the controller would, or at the host."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence

from ._matrix import ROOT

MARK = "RUNBOOK_OPS_STOP_AT"
WAIT_SECONDS = (
    1200  # for a run to come to a point, on a machine that does other things too; a host's answer is waited for longer
)
# Kills what stands stopped at the point, in one of three ways, and prints how many there were.
CUT = f"""
end=$((SECONDS + {WAIT_SECONDS}))
while [ $SECONDS -lt $end ]; do
  pids=$(grep -lz '^{MARK}=POINT$' /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 | while read pid; do
    grep -q '^State:.T' /proc/$pid/status 2>/dev/null && echo $pid; done)
  [ -z "$pids" ] || break
  sleep 0.1
done
[ -n "$pids" ] || exit 1
case WAY in
  tree) kill -KILL $pids ;;
  session)
    for pid in $pids; do
      while [ $pid -gt 1 ]; do
        grep -q '^sshd' /proc/$pid/comm && {{ kill -KILL $pid; break; }}
        pid=$(cut -d' ' -f4 /proc/$pid/stat)
      done
    done
    kill -CONT $pids ;;
esac
echo $pids
"""


def kill_at(command: Sequence[str], moment: str, *, after_seconds: float) -> None:
    """Run ``command`` until it names a task with ``moment`` in it, and kill it and all that it started here.

    :param after_seconds: how far into the task, which is announced before it begins
    :raises AssertionError: the run ended before.
    """
    environment = os.environ | {"NO_COLOR": "1", "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stdout is not None
        said = []
        for line in run.stdout:
            said.append(line)
            if moment in line:
                break
        else:
            raise AssertionError(f"the run ended without {moment!r}:\n{''.join(said)}")
        time.sleep(after_seconds)
        os.killpg(run.pid, signal.SIGKILL)


def stopping_at(point: str) -> dict[str, str]:
    """Return the variables of a run that have what it starts on the host stop at a named moment."""
    return {"ansible_become_flags": f"-H -S -n {MARK}={point}"}


def cut(host: Callable[[str], str], point: str, way: str) -> None:
    """Wait until a module on the host stands stopped at ``point``, and end it or the session it runs in.

    :param way: tree, session, or none to leave it stopped
    """
    host(CUT.replace("POINT", point).replace("WAY", way))


def kill_stopped(command: Sequence[str], host: Callable[[str], str], point: str) -> None:
    """Run ``command`` until it stands at ``point`` on the host, and kill it there and here.

    :raises AssertionError: it ended before, or has not come there in time; the message has what it said.
    """
    failed: list[BaseException] = []

    def wait() -> None:
        try:
            cut(host, point, "none")
        except BaseException as exc:  # it is raised again where it is waited for
            failed.append(exc)

    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            [*command, "-e", json.dumps(stopping_at(point))],
            cwd=ROOT,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as run,
    ):
        waiting = threading.Thread(target=wait, daemon=True)  # on the host it ends by itself
        waiting.start()
        try:
            while waiting.is_alive() and run.poll() is None:
                waiting.join(0.2)
            early = waiting.is_alive()
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
        if early or failed:
            said.seek(0)
            words = said.read().decode(errors="replace")
            why = (
                f"the run ended with {run.returncode} before {point!r}"
                if early
                else f"the run did not come to {point!r}"
            )
            raise AssertionError(f"{why}:\n{words}") from next(iter(failed), None)
    cut(host, point, "tree")
