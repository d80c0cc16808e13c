# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named moments at which a test may kill a process that changes things. Private to this collection."""

from __future__ import annotations

import os
import signal

VARIABLE = "RUNBOOK_OPS_KILL_AT"
STOPPED = "RUNBOOK_OPS_STOP_AT"


def reached(point: str) -> None:
    """Die here, as by ``kill -9``, where the environment asks for it: a power cut at a moment that chance rarely hits.

    Or be stopped here, until the test has done to the rest of the run what it wants to, and lets this go on.

    :param point: the module and what it has just done, such as ``pg_backup:dumped``
    """
    if os.environ.get(VARIABLE) == point:
        os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get(STOPPED) == point:
        os.kill(os.getpid(), signal.SIGSTOP)
