# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No more of a program's output is kept than is wanted, and none is waited for longer."""

from __future__ import annotations

import sys
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_program import output_of, read_program
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError


def python(code):
    return [sys.executable, "-c", code]


def test_what_is_said_on_both_outputs_is_kept():
    said = read_program(python("import sys; print('out', flush=True); print('err', file=sys.stderr)"))
    assert (said.code, said.text, said.cut) == (0, "out\nerr\n", False)


@pytest.mark.parametrize(("keep_end", "first"), [(False, "line 0"), (True, "line 99")])
def test_of_too_much_whole_lines_are_kept(keep_end, first):
    said = read_program(python("for n in range(100_000): print('line', n)"), most_bytes=2000, keep_end=keep_end)
    assert said.cut
    assert said.text.startswith(first)
    assert all(line.startswith("line ") for line in said.text.splitlines())


def test_one_that_never_ends_is_ended():
    began = time.monotonic()
    with pytest.raises(ProbeError, match="no answer within"):
        read_program(python("import time; time.sleep(30)"), timeout_seconds=0.3)
    assert time.monotonic() - began < 25


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["no-such-program-here"], "is not installed"),
        (python("raise SystemExit('bad luck')"), r"failed \(1\): bad luck"),
    ],
)
def test_what_fails_is_said_in_one_line(argv, message):
    with pytest.raises(ProbeError, match=message):
        output_of(argv)
