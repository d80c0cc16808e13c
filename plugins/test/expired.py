# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test expired: whether a moment is over."""

from __future__ import annotations

DOCUMENTATION = r"""
name: expired
short_description: Say whether a certificate, or a moment, is over
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Takes a time in ISO 8601, or anything with one under C(expires_at), such as a certificate of
    M(runbook.ops.certbot_info). A time without a zone is in UTC.
  - A certificate that could not be read, with C(expires_at) null, counts as expired.
options:
  _input:
    description: The moment, or what holds it.
    type: raw
    required: true
  within:
    description: Also true when it is over after this long, such as V(7d); a number is seconds.
    type: raw
    default: 0
  now:
    description: The time to compare with, in ISO 8601. Without it the controller's clock.
    type: str
"""

EXAMPLES = r"""
- name: Name the certificates that expire this week
  ansible.builtin.debug:
    msg: "{{ lineages['certificates'] | select('runbook.ops.expired', within='7d') | map(attribute='name') }}"
"""

RETURN = r"""
_value:
  description: Whether it is over.
  type: bool
"""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.module_utils._units import parse_duration


def read_moment(text: Any) -> datetime:
    """Return the aware moment that ``text`` writes in ISO 8601; without a zone it is in UTC."""
    moment = datetime.fromisoformat(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def is_expired(value: Any, within: Any = 0, now: str | None = None) -> bool:
    """Return whether ``value`` is over, or will be ``within`` a duration.

    :raises AnsibleFilterError: ``value`` or ``now`` is no time, or ``within`` no duration.
    """
    moment = value["expires_at"] if isinstance(value, dict) and "expires_at" in value else value
    if moment is None:
        return True
    try:
        today = read_moment(now) if now else datetime.now(timezone.utc)
        return read_moment(moment) <= today + timedelta(seconds=parse_duration(within))
    except (TypeError, ValueError) as exc:
        raise AnsibleFilterError(f"runbook.ops.expired: {exc}") from exc


class TestModule:
    """What Ansible looks for."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        """Return the tests of this file by name."""
        return {"expired": is_expired}
