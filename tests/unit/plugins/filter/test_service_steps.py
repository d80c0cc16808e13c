# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter is a door into _service_order, and names itself where it is misused."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.filter.service_steps import FilterModule

service_steps = FilterModule().filters()["service_steps"]


def test_a_start_begins_with_what_is_needed():
    services = [{"name": "database", "after": []}, {"name": "api", "after": ["database"]}]
    assert service_steps(services, "api", "started") == [
        {"name": "database", "state": "started"},
        {"name": "api", "state": "started"},
    ]


def test_something_else_than_services_is_refused():
    with pytest.raises(AnsibleFilterError, match=r"runbook\.ops\.service_steps"):
        service_steps(["database"], "database", "started")
