# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter that was given what it cannot take says which one it is, in one line."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes

COLLECTION = "ansible_collections.runbook.ops.plugins"
FILTERS = sorted(
    path.stem
    for path in Path(import_module(f"{COLLECTION}.plugin_utils._filter").__file__ or "").parents[1].glob("filter/*.py")
)


@takes("a whole number")
def half(value: int, *, of: int = 2) -> int:
    """Return a part of ``value``."""
    if value % of:
        raise ValueError(f"{value} is odd: name another one")
    return value // of


def test_a_filter_gets_all_its_arguments():
    assert half(9, of=3) == 3
    assert (half.__name__, half.__doc__) == ("half", "Return a part of ``value``.")


def test_what_is_wrong_with_a_value_stands_behind_the_name_of_the_filter():
    with pytest.raises(AnsibleFilterError, match=r"^runbook\.ops\.half: 3 is odd: name another one$"):
        half(3)


def test_a_value_of_another_kind_is_told_apart():
    with pytest.raises(AnsibleFilterError, match=r"^runbook\.ops\.half: takes a whole number \(TypeError: "):
        half([])


@pytest.mark.parametrize("name", FILTERS)
def test_each_filter_names_itself_where_it_is_given_nothing_it_knows(name):
    (function,) = import_module(f"{COLLECTION}.filter.{name}").FilterModule().filters().values()
    required = [one for one in signature(function).parameters.values() if one.default is one.empty]
    with pytest.raises(AnsibleFilterError, match=rf"^runbook\.ops\.{name}: [^\n]+$"):
        function(object(), *("started" for _one in required[1:]))
