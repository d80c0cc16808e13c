# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a program and read no more of its output than is wanted. Private to this collection."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import PATH, last_line

MOST_BYTES = 1 << 20


class Said(NamedTuple):
    """What a program said, on both its outputs."""

    code: int
    text: str
    cut: bool


def read_program(argv: Sequence[str], *, timeout_seconds: float = 8.0, most_bytes: int = MOST_BYTES) -> Said:
    """Run ``argv`` without a shell and return the beginning of what it says; it is ended at the limits.

    :raises ProbeError: the program is not installed, or said nothing in time.
    """
    end = time.monotonic() + timeout_seconds
    surroundings = {"PATH": PATH, "LC_ALL": "C", "HOME": "/", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=surroundings, cwd="/"
        )
    except FileNotFoundError:
        raise ProbeError(f"{argv[0]} is not installed on this host") from None
    data = bytearray()
    ended = False
    with process, selectors.DefaultSelector() as selector:
        output = process.stdout
        assert output is not None  # noqa: S101  # asked for above
        selector.register(output, selectors.EVENT_READ)
        while len(data) < most_bytes and (left := end - time.monotonic()) > 0:
            if not selector.select(left):
                break
            chunk = os.read(output.fileno(), 1 << 16)
            if not chunk:
                ended = True
                break
            data += chunk
        if not ended:
            process.kill()
    text = bytes(data[:most_bytes]).decode("utf-8", "replace")
    if not ended and not text.strip():
        raise ProbeError(f"{argv[0]} gave no answer within {timeout_seconds:g} s")
    # What was broken off in the middle of a line may end in half a secret.
    return Said(process.returncode, text if ended else text.rpartition("\n")[0], not ended)


def output_of(argv: Sequence[str], *, timeout_seconds: float = 8.0, most_bytes: int = MOST_BYTES) -> str:
    """Return what a program says where it succeeds.

    :raises ProbeError: it does not.
    """
    said = read_program(argv, timeout_seconds=timeout_seconds, most_bytes=most_bytes)
    if said.code != 0 and not said.cut:
        raise ProbeError(f"{argv[0]} failed ({said.code}): {last_line(said.text)}")
    return said.text
