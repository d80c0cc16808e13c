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
MOST_READ = 64 << 20  # of what is read and not kept


class Said(NamedTuple):
    """What a program said, on both its outputs."""

    code: int
    text: str
    cut: bool


def read_program(
    argv: Sequence[str], *, timeout_seconds: float = 8.0, most_bytes: int = MOST_BYTES, keep_end: bool = False
) -> Said:
    """Run ``argv`` without a shell and return the beginning of what it says, or its end; it is ended at the limits.

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
    ended, lost, read = False, False, 0
    with process, selectors.DefaultSelector() as selector:
        output = process.stdout
        if output is None:  # it was asked for above
            raise ProbeError(f"{argv[0]} has no output")
        selector.register(output, selectors.EVENT_READ)
        while read < (MOST_READ if keep_end else most_bytes) and (left := end - time.monotonic()) > 0:
            if not selector.select(left):
                break
            chunk = os.read(output.fileno(), 1 << 16)
            if not chunk:
                ended = True
                break
            data += chunk
            read += len(chunk)
            if keep_end and len(data) > 2 * most_bytes:
                del data[:-most_bytes]
                lost = True
        if not ended:
            process.kill()
    if not ended and not data.strip():
        raise ProbeError(f"{argv[0]} gave no answer within {timeout_seconds:g} s")
    lost = lost or len(data) > most_bytes
    text = bytes(data[-most_bytes:] if keep_end else data[:most_bytes]).decode("utf-8", "replace")
    # What begins or breaks off in the middle of a line may begin or end with half a secret.
    text = text.partition("\n")[2] if keep_end and lost else text
    whole = ended and (keep_end or not lost)
    return Said(process.returncode, text if whole else text.rpartition("\n")[0], lost or not ended)


def output_of(argv: Sequence[str], *, timeout_seconds: float = 8.0, most_bytes: int = MOST_BYTES) -> str:
    """Return what a program says where it succeeds.

    :raises ProbeError: it does not.
    """
    said = read_program(argv, timeout_seconds=timeout_seconds, most_bytes=most_bytes)
    if said.code != 0 and not said.cut:
        raise ProbeError(f"{argv[0]} failed ({said.code}): {last_line(said.text)}")
    return said.text
