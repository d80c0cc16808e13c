# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a run of a playbook in the middle, as a power cut at the controller would."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence

from ._matrix import ROOT


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
