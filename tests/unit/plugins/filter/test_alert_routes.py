# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a configuration stays as it is where nothing has to change."""

from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.filter.alert_routes import alert_routes
from ansible_collections.runbook.ops.plugins.filter.alert_rules import alert_rules

TEXT = "# mine\nroute: {receiver: relay}\nreceivers: [{name: relay}]\n"
SYSTEM = {"system": {"name": "shop"}, "alerts": {"webhook": "https://hook"}, "thresholds": {}}


def test_the_text_is_returned_as_it_was_where_nothing_changes():
    assert alert_routes(TEXT, SYSTEM, present=False) == TEXT
    once = alert_routes(TEXT, SYSTEM)
    assert alert_routes(once, SYSTEM) == once
    assert yaml.safe_load(once)["route"]["receiver"] == "relay"


@pytest.mark.parametrize("text", ["a: [", "- list"])
def test_a_configuration_that_is_none_is_refused(text):
    with pytest.raises(AnsibleFilterError):
        alert_routes(text, SYSTEM)


def test_what_is_no_description_is_refused():
    with pytest.raises(AnsibleFilterError, match="role system"):
        alert_rules({"name": "shop"})
