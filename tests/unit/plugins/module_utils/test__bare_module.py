# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs are run without Ansible as they are with it."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._bare_module import BareModule
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError


def test_a_program_gets_its_input_and_its_environment():
    command = Command(BareModule(), "sh", environment={"WORD": "spoken"})
    assert command("-c", "cat; echo $WORD", stdin="read ") == "read spoken\n"


def test_without_input_a_program_waits_for_none():
    assert Command(BareModule(), "cat")() == ""


def test_a_program_that_fails_or_is_missing_says_so():
    with pytest.raises(CommandError, match=r"sh -c failed \(3\): wrong"):
        Command(BareModule(), "sh")("-c", "echo wrong >&2; exit 3")
    with pytest.raises(CommandError, match="is not installed"):
        Command(BareModule(), "no-such-program")
