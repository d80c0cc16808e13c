# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate the variables that describe a system, and return what they mean. Runs on the controller."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.runbook.ops.plugins.module_utils._contract import PREFIX, UNREADABLE, normalise, plain, secrets
from ansible_collections.runbook.ops.plugins.module_utils._members import misplaced, on_host
from ansible_collections.runbook.ops.plugins.module_utils._references import complete, contradictions
from ansible_collections.runbook.ops.plugins.plugin_utils._controller import this_run

TEMPLATE = re.compile(r"\{[{%#]")
SPECIFICATION = Path(__file__).parents[2] / "roles" / "system" / "meta" / "argument_specs.yml"


def _specification() -> dict[str, Any]:
    """Return the options that describe a system."""
    # The C loader takes a fifth of the time, and is missing only where PyYAML was built without libyaml. Both are safe.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content = yaml.load(SPECIFICATION.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506  # a safe one, see above
    return content["argument_specs"]["description"]["options"]


# Read with the plugin, once, in the process that all workers are forked from: not 14 ms for each host.
OPTIONS = _specification()


def resolve(path: str, value: Any, template: Callable[[Any], Any], problems: list[str]) -> Any:
    """Return ``value`` with its templates resolved, UNREADABLE in place of those that cannot be."""
    if isinstance(value, Mapping):
        return {key: resolve(f"{path}.{key}", item, template, problems) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolve(f"{path}[{index}]", item, template, problems) for index, item in enumerate(value)]
    if (
        value is None
        or isinstance(value, (bool, int, float))
        or (isinstance(value, str) and not TEMPLATE.search(value))
    ):
        return plain(value)
    try:
        # As a list of one, from which a value that resolves to `omit` drops out; by itself it would be an error.
        resolved = template([value])
        return plain(resolved[0]) if resolved else None
    except AnsibleError as exc:
        reason = str(exc).splitlines()[0].replace("Error rendering template: ", "")
        problems.append(f"{path} cannot be read: {reason}")
        return UNREADABLE


class ActionModule(ActionBase):
    """The contract's door: nothing but this reads ``ops_`` variables."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        problems: list[str] = []
        described = {
            name: resolve(name, value, self._templar.template, problems)
            for name, value in variables.items()
            if name.startswith(PREFIX)
        }
        system, wrong = normalise(described, OPTIONS)
        groups = variables.get("groups", {})
        problems += wrong + contradictions(system) + misplaced(system, {*groups, *groups.get("all", [])})
        if problems:
            count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
            lines = "\n".join(f"  {problem}" for problem in problems)
            return {
                **result,
                "failed": True,
                "msg": f"The system's description has {count}:\n{lines}",
                "problems": problems,
            }
        if secrets(described, OPTIONS):
            result["_ansible_no_log"] = True  # they are handed on to the roles, not shown
        run = this_run(variables, context.CLIARGS.get("args", ()))
        names = {variables.get("inventory_hostname"), *variables.get("group_names", [])}
        return {**result, **on_host(complete(system), names), "run": run, "changed": False}
