#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: empty a cache in Redis, and nothing else."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_cache
short_description: Empty a cache in Redis, and nothing else
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Frees the keys that begin with one of O(prefixes), some hundred at a time, while the server goes on serving. C(FLUSHDB) and
    C(FLUSHALL), which also delete queued jobs, sessions and what other applications keep there, are never used.
  - All keys are looked at before the first is freed. Where one of them belongs to a queue of Bull or BullMQ, or a prefix overlaps
    with one of O(protected), nothing is.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.redis
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: [It shows how many keys each prefix has. Their names may be secrets, such as those of sessions, and are never shown.]
  idempotent:
    support: full
    details: [An empty cache is left alone. That of an application that runs fills again at once.]
options:
  database:
    description: Number of the database.
    type: int
    default: 0
  prefixes:
    description: What the keys of the cache begin with, letter by letter. Wildcards stand for themselves.
    type: list
    elements: str
    required: true
  protected:
    description: What the keys begin with that must stay. A prefix that has keys in common with them is refused.
    type: list
    elements: str
    default: ['bull:']
  expiring:
    description: Free only keys that expire by themselves. A key that never does is hardly a cache's.
    type: bool
    default: false
  batch:
    description: About so many keys are looked at in one step, for which other clients wait. A step of 500 takes a millisecond or two.
    type: int
    default: 500
  timeout_seconds:
    description: How long all of one prefix may take, in seconds. All keys are looked at first, within the same time.
    type: float
    default: 60
notes:
  - A node of a cluster is refused - it has a part of the keys only.
  - The account needs C(+eval), C(+scan), C(+type), C(+pttl), C(+hexists) and C(+unlink), and Redis 4 or later.
seealso:
  - name: Redis, SCAN
    description: What is found while keys come and go.
    link: https://redis.io/docs/latest/commands/scan/
"""

EXAMPLES = r"""
- name: Empty the cache of the newsletter, and leave its queues alone
  runbook.ops.redis_cache:
    name: main
    project: newsletter
    service: redis
    prefixes: ['cache:']
    protected: ['bull:campaign-emails:', 'bull:ai-insights:']
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done.
  returned: success
  type: list
  elements: str
prefixes:
  description: For each prefix its name, C(keys) that were freed, or in check mode would be, and C(lasting) ones that stay.
  returned: success
  type: list
  elements: dict
changes:
  description: A record of the change, made or predicted.
  returned: success
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._redis import RedisDownError, Refusal, one_line
from ansible_collections.runbook.ops.plugins.module_utils._redis_cache import CacheError, Seen, Wish, free, look, refuse
from ansible_collections.runbook.ops.plugins.module_utils._redis_server import (
    SERVER_ARGUMENTS,
    ask_server,
    find_server,
)

ANSWER_SECONDS = 10.0
ARGUMENTS: dict[str, Any] = {
    **SERVER_ARGUMENTS,
    "database": {"type": "int", "default": 0},
    "prefixes": {"type": "list", "elements": "str", "required": True},
    "protected": {"type": "list", "elements": "str", "default": ["bull:"]},
    "expiring": {"type": "bool", "default": False},
    "batch": {"type": "int", "default": 500},
    "timeout_seconds": {"type": "float", "default": 60},
}


def run(wish: Wish, call: Callable[..., Any], *, name: str, check_mode: bool) -> dict[str, Any]:
    """Free what is there of the cache, and say how much it was.

    :raises CacheError: it is no cache alone, or takes too long.
    """
    refuse(wish)
    before = look(call, wish)
    full = any(one.keys for one in before)
    done = free(call, wish) if full and not check_mode else before
    return {
        "changed": full,
        "actions": [f"free {one.keys} keys that begin with {one.prefix}" for one in done if one.keys],
        "prefixes": [one._asdict() for one in done],
        "changes": changes_of(name, done),
        "diff": {
            "before": {one.prefix: one.keys for one in done},
            "after": {one.prefix: 0 for one in done},
        },
    }


def changes_of(name: str, done: list[Seen]) -> list[dict[str, Any]]:
    """Return a record of each prefix of which keys went."""
    return [
        make_change(
            f"{name} {one.prefix}*",
            action="free keys",
            section="Caches",
            reason="asked for",
            before=one.keys,
            after=0,
            unit="keys",
        )
        for one in done
        if one.keys
    ]


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, required_by={"service": ["project"]})
    params = module.params

    def call(commands: Any) -> list[Any]:
        answers = ask_server(server, commands, ANSWER_SECONDS)
        for answer in answers:
            if isinstance(answer, Refusal):
                raise CacheError(f"Redis refuses: {one_line(answer.text)}")
        return answers

    try:
        if params["batch"] < 1:
            raise CacheError(f"batch is {params['batch']}: it must be at least 1")
        wish = Wish(
            tuple(params["prefixes"]),
            tuple(params["protected"]),
            params["expiring"],
            params["batch"],
            params["timeout_seconds"],
        )
        server = find_server(params)
        result = run(wish, call, name=params["name"], check_mode=module.check_mode)
    except CacheError as exc:
        changes = changes_of(params["name"], exc.freed)
        word = "emptied as a whole" if changes else "emptied"
        module.fail_json(
            msg=f"the cache in {params['name']} was not {word}: {exc}",
            changed=bool(changes),
            prefixes=[one._asdict() for one in exc.freed],
            changes=changes,
        )
    except (ProbeError, RedisDownError) as exc:
        module.fail_json(msg=f"the cache in {params['name']} was not emptied: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
