#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: silence alerts for a while, with a reason and a name, once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: alertmanager_silence
short_description: Silence alerts of Alertmanager for a while, with a reason and a name
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - One silence for one set of matchers. The second call changes nothing, a longer O(duration) prolongs the silence that is there, and
    one that lasts longer than asked for is left as it is.
  - Says which alerts fire now and are silenced by it. Matchers that would silence everything are refused.
extends_documentation_fragment:
  - runbook.ops.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details: [A silence of which more than nine tenths of the duration are left is not prolonged.]
options:
  matchers:
    description: What the labels of an alert must be, all of it. A silence is known by its matchers.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the label, such as V(alertname).
        type: str
        required: true
      value:
        description: Its value.
        type: str
        required: true
      regex:
        description: Whether the value is a regular expression that the whole label must match.
        type: bool
        default: false
      equal:
        description: Whether the label must be so; V(false) is must not.
        type: bool
        default: true
  state:
    description: V(absent) ends the silence.
    type: str
    choices: [present, absent]
    default: present
  duration:
    description: How long from now, such as V(2h) or V(45m). At most 30 days.
    type: str
    default: 1h
  comment:
    description: Why. Needed for O(state=present).
    type: str
  created_by:
    description: Who answers for it. Needed for O(state=present).
    type: str
  url:
    description: URL of Alertmanager.
    type: str
    default: http://localhost:9093
  user:
    description: Account, where Alertmanager asks for one.
    type: str
  password:
    description: Its password.
    type: str
  verify:
    description: Whether the server's certificate is checked.
    type: bool
    default: true
  timeout_seconds:
    description: How long an answer may take, in seconds.
    type: float
    default: 10
seealso:
  - name: Alertmanager, silences
    description: What a silence is.
    link: https://prometheus.io/docs/alerting/latest/alertmanager/#silences
"""

EXAMPLES = r"""
- name: Silence one alert of one host for two hours
  runbook.ops.alertmanager_silence:
    matchers:
      - {name: alertname, value: HighCPUUsage}
      - {name: instance, value: 'plugspace.io:9100'}
    duration: 2h
    comment: Transcoding of the archive, until 16:00
    created_by: maria

- name: Let it speak again
  runbook.ops.alertmanager_silence:
    matchers:
      - {name: alertname, value: HighCPUUsage}
      - {name: instance, value: 'plugspace.io:9100'}
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
silence:
  description: The silence afterwards; null where there is none, or in check mode.
  returned: success
  type: dict
silenced:
  description: Labels of the alerts that fire now and that the matchers fit.
  returned: success
  type: list
  elements: dict
changes:
  description: What changed, or would.
  returned: success
  type: list
  elements: dict
"""

import base64
import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError, ask
from ansible_collections.runbook.ops.plugins.module_utils._silence import (
    LONGEST_SECONDS,
    SilenceError,
    covered,
    is_enough,
    read_matchers,
    request,
    same,
)
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, parse_duration

MATCHER: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "value": {"type": "str", "required": True},
    "regex": {"type": "bool", "default": False},
    "equal": {"type": "bool", "default": True},
}
ARGUMENTS: dict[str, Any] = {
    "matchers": {"type": "list", "elements": "dict", "required": True, "options": MATCHER},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "duration": {"type": "str", "default": "1h"},
    "comment": {"type": "str"},
    "created_by": {"type": "str"},
    "url": {"type": "str", "default": "http://localhost:9093"},
    "user": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "verify": {"type": "bool", "default": True},
    "timeout_seconds": {"type": "float", "default": 10},
}

Call = Callable[..., Any]


def caller(params: dict[str, Any]) -> Call:
    """Return how Alertmanager is asked: method, path and body give the document that it answers with."""
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if params["user"]:
        account = f"{params['user']}:{params['password'] or ''}"
        headers["Authorization"] = f"Basic {base64.b64encode(account.encode()).decode()}"

    def call(method: str, path: str, body: Any = None) -> Any:
        try:
            answer = ask(
                f"{params['url'].rstrip('/')}/api/v2/{path}",
                method=method,
                headers=headers,
                body=b"" if body is None else json.dumps(body).encode(),
                timeout_seconds=params["timeout_seconds"],
                verify=params["verify"],
                body_limit_bytes=16 << 20,
            )
        except HttpError as exc:
            raise SilenceError(f"Alertmanager at {params['url']}: {exc}") from exc
        if answer.status != 200:
            said = answer.body.decode("utf-8", "replace").strip()[:200]
            raise SilenceError(f"Alertmanager at {params['url']} answers {answer.status} to {method} {path}: {said}")
        try:
            return json.loads(answer.body) if answer.body.strip() else None
        except ValueError:
            raise SilenceError(f"{params['url']} does not answer in JSON: is it Alertmanager?") from None

    return call


def run(call: Call, params: dict[str, Any], *, now: datetime, check_mode: bool) -> dict[str, Any]:
    """Return the module's result.

    :raises SilenceError: Alertmanager does not answer, or what is asked for is wrong.
    """
    matchers = read_matchers(params["matchers"])
    seconds = parse_duration(params["duration"])
    if not 60 <= seconds <= LONGEST_SECONDS:
        raise SilenceError(f"duration is {params['duration']}: give one minute to {human_duration(LONGEST_SECONDS)}")
    there = same(call("GET", "silences"), matchers)
    silenced = covered(call("GET", "alerts?silenced=true&inhibited=true"), matchers)
    what = ", ".join(map(str, matchers))
    if params["state"] == "absent":
        actions = [f"end silence {silence['id']}" for silence in there]
    elif there and is_enough(there[0], now=now, seconds=seconds):
        actions = []
    else:
        actions = [f"{'prolong' if there else 'silence'} {what} for {params['duration']}"]
    after: dict[str, Any] | None = there[0] if there else None
    if actions and not check_mode:
        if params["state"] == "absent":
            for silence in there:
                call("DELETE", f"silence/{silence['id']}")
        else:
            old = there[0] if there else None
            comment, by = params["comment"], params["created_by"]
            call("POST", "silences", request(matchers, old, now=now, seconds=seconds, comment=comment, by=by))
        found = same(call("GET", "silences"), matchers)
        if bool(found) is (params["state"] == "absent"):
            raise SilenceError(
                f"Alertmanager has taken the request, and {what} is {'still' if found else 'not'} silenced"
            )
        after = found[0] if found else None
    change = make_change(
        what,
        action="silenced" if params["state"] == "present" else "no longer silenced",
        section="Alerts",
        reason=params["comment"] or "asked for",
        before=there[0]["endsAt"] if there else None,
        after=after["endsAt"] if after and not check_mode else None,
    )
    return {
        "changed": bool(actions),
        "actions": actions,
        "silence": after,
        "silenced": silenced,
        "changes": [change] if actions else [],
        "diff": {
            "before": {"silences": [f"{what} until {silence['endsAt']}" for silence in there]},
            "after": {"silences": [f"{what} for {params['duration']}"] if params["state"] == "present" else []},
        }
        if actions
        else {},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("state", "present", ("comment", "created_by"))],
    )
    try:
        result = run(caller(module.params), module.params, now=datetime.now(timezone.utc), check_mode=module.check_mode)
    except (SilenceError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
