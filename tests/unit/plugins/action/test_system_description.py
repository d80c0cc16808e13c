# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract's door: variables in, description or problems out."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleError
from ansible_collections.runbook.ops.plugins.action.system_description import ActionModule, resolve
from ansible_collections.runbook.ops.plugins.module_utils._contract import UNREADABLE

OMIT = object()


class Templar:
    """Knows two variables, as Ansible's own templates a list."""

    def template(self, values: list[Any]) -> list[Any]:
        (text,) = values
        known = {
            "{{ port }}": 3000,
            "{{ nothing | default(omit) }}": OMIT,
            "{{ vault_webhook }}": "https://x.org/hunter2",
        }
        if text not in known:
            raise AnsibleError(f"'{text.strip('{} ')}' is undefined\nand more")
        return [known[text]] if known[text] is not OMIT else []


def describe(**variables: Any) -> dict[str, Any]:
    task = Mock(async_val=0, args={}, check_mode=False, diff=False)
    action = ActionModule(task, Mock(), Mock(), Mock(), Templar(), Mock())
    return action.run(task_vars={"ops_system": {"name": "s"}, "inventory_hostname": "h", **variables})


def test_variables_become_a_description() -> None:
    result = describe(ops_services=[{"name": "nginx", "manager": "systemd", "port": "{{ port }}"}])
    assert not result.get("failed")
    assert result["services"][0]["port"] == 3000
    assert result["run"]["id"]
    assert result["changed"] is False


def test_every_problem_is_a_line_of_the_message() -> None:
    result = describe(
        ops_sevices=[], ops_services=[{"name": "x", "manager": "systemd", "after": ["y"], "port": "{{ p }}"}]
    )
    assert result["failed"] is True
    assert result["msg"].splitlines() == [
        "The system's description has 3 problems:",
        *(f"  {one}" for one in result["problems"]),
    ]
    assert result["problems"] == [
        "ops_services[0].port cannot be read: 'p' is undefined",
        "ops_sevices is not known: did you mean ops_services?",
        "ops_services[0].after[0] is 'y': no service has this name; known are x",
    ]


def test_a_description_with_a_secret_is_hidden_and_one_without_is_not() -> None:
    assert describe(ops_alerts={"webhook": "{{ vault_webhook }}"})["_ansible_no_log"] is True
    assert "_ansible_no_log" not in describe()


def test_a_failure_shows_no_secret() -> None:
    result = describe(ops_alerts={"webhook": "hunter2", "email": 3.5})
    assert result["problems"][0].startswith("ops_alerts.email is 3.5")
    assert result["problems"][1].startswith("ops_alerts.webhook is (secret)")
    assert "hunter2" not in str(result)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("plain", "plain", id="text"),
        pytest.param("http://x:{port}/", "http://x:{port}/", id="braces of ours are no template"),
        pytest.param({"a": ["{{ port }}"]}, {"a": [3000]}, id="inside"),
        pytest.param("{{ nothing | default(omit) }}", None, id="omitted"),
        pytest.param("{{ gone }}", UNREADABLE, id="undefined"),
    ],
)
def test_templates_are_resolved_wherever_they_stand(value: Any, expected: Any) -> None:
    problems: list[str] = []
    assert resolve("ops_x", value, Templar().template, problems) == expected
    assert problems == (["ops_x cannot be read: 'gone' is undefined"] if expected is UNREADABLE else [])
