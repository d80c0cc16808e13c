# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not given has its default, as Ansible would have it."""

from __future__ import annotations

from ansible_collections.runbook.ops.plugins.module_utils._given import with_defaults

ARGUMENTS = {"a": {"type": "int", "default": 3}, "b": {"type": "bool", "default": True}, "c": {"type": "str"}}


def test_what_is_missing_or_null_has_its_default_and_nothing_else_is_changed() -> None:
    assert with_defaults({"a": None, "b": False, "x": 1}, ARGUMENTS) == {"a": 3, "b": False, "c": None}
