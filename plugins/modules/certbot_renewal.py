#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: renew the lineages of certbot that are due."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certbot_renewal
short_description: Renew the certificates of certbot that are due
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Renews one lineage after the other, each in the way it was obtained. One that fails keeps no other from it, and is named with the
    reason that the authority gives. A failure of a lineage is no failure of the module, see RV(failures).
  - What a server serves afterwards is another matter, see M(runbook.ops.served_certificates).
  - In check mode each lineage is tried against the staging service of its authority, which counts against no limit of the real one.
    Nothing is kept of it, and no hook runs unless O(dry_run=all).
extends_documentation_fragment:
  - runbook.ops.attributes
attributes:
  check_mode:
    support: full
    details:
      - A dry run writes certbot's own log, and a file below the web root for the time of a challenge.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A certificate that was renewed is not due. With O(early) another one is asked for each time.
options:
  names:
    description: Only these lineages. Without it all.
    type: list
    elements: str
    default: []
  required:
    description: Lineages that have to be there.
    type: list
    elements: str
    default: []
  served:
    description: Lineages that a server of this host serves, so that it has to load what is renewed.
    type: list
    elements: str
    default: []
  early:
    description:
      - Lineages to renew although they are not due. Each is tried first, and refused where five certificates for the same names were
        made out within seven days, for Let's Encrypt makes out no more.
    type: list
    elements: str
    default: []
  dry_run:
    description:
      - What is tried in check mode, and before O(early).
      - V(harmless) is what changes nothing but for a file below a web root or a record of DNS. V(all) is also C(standalone), which takes a
        port, the plugin C(nginx), which edits the configuration for a moment, and scripts, and their hooks run.
    type: str
    choices: [harmless, all, never]
    default: harmless
  staging:
    description: Directory URLs of staging services by name of the lineage, for authorities other than Let's Encrypt.
    type: dict
    default: {}
  scheduled:
    description: Whether a calendar runs this, so that a host without certbot's timer is as it should be.
    type: bool
    default: false
  config_dir:
    description: The configuration directory of certbot.
    type: path
    default: /etc/letsencrypt
  work_dir:
    description: The working directory of certbot.
    type: path
    default: /var/lib/letsencrypt
  logs_dir:
    description: The directory of certbot's logs.
    type: path
    default: /var/log/letsencrypt
  acme_ca_path:
    description: File of certificates to trust for the connection to the authority, where it is a private one.
    type: path
  timeout_seconds:
    description:
      - How long certbot may take for one lineage, in seconds. A longer one is asked to end, so that it cleans up and runs the hooks that
        start again what others have stopped, and killed a minute later.
    type: int
    default: 300
  lock_seconds:
    description: How long to wait for another certbot that works at this moment, in seconds.
    type: int
    default: 120
seealso:
  - module: runbook.ops.certbot_info
  - module: runbook.ops.served_certificates
"""

EXAMPLES = r"""
- name: See whether all could be renewed
  runbook.ops.certbot_renewal:
  become: true
  check_mode: true
  register: tried

- name: Renew what is due
  runbook.ops.certbot_renewal:
  become: true
  register: renewals

- name: Name what could not be renewed
  ansible.builtin.assert:
    that: renewals['failures'] == []
"""

RETURN = r"""
certificates:
  description: What became of each lineage.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the lineage.
      type: str
    step:
      description: V(renew), V(keep) or V(refuse).
      type: str
    status:
      description: V(renewed), V(kept) or V(failed); in check mode V(tried), V(untried) or V(failed).
      type: str
    why:
      description: What the step goes by, such as the days that are left.
      type: str
    reason:
      description: Why that became of it, in one line, without secrets.
      type: str
    expires_at:
      description: End of its validity, ISO 8601 in UTC.
      type: str
    days_left:
      description: Whole days until then.
      type: int
    fingerprint_sha256:
      description: SHA-256 of the certificate in hexadecimal.
      type: str
    failed_hooks:
      description: Hooks that failed, at which certbot goes on.
      type: list
      elements: str
    said:
      description: What certbot said of a failure, without secrets.
      type: list
      elements: str
renewed:
  description: Names of those that were renewed, or in check mode would be.
  returned: success
  type: list
  elements: str
failures:
  description: For each that failed its name and the reason.
  returned: success
  type: list
  elements: str
actions:
  description: What was done, or in check mode would be done.
  returned: success
  type: list
  elements: str
checks:
  description: Renewal and hooks of each lineage, in check mode its dry run, and who else renews on this host.
  returned: success
  type: list
  elements: dict
changes:
  description: A record of each renewal, made or predicted.
  returned: success
  type: list
  elements: dict
"""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils import _certbot_habits as habits
from ansible_collections.runbook.ops.plugins.module_utils._certbot_files import CertbotError
from ansible_collections.runbook.ops.plugins.module_utils._certbot_plan import diff_of, plan
from ansible_collections.runbook.ops.plugins.module_utils._certbot_report import changes_of, checks_of
from ansible_collections.runbook.ops.plugins.module_utils._certbot_run import Certbot, Host, carry_out, summary
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor

ARGUMENTS: dict[str, Any] = {
    "names": {"type": "list", "elements": "str", "default": []},
    "required": {"type": "list", "elements": "str", "default": []},
    "served": {"type": "list", "elements": "str", "default": []},
    "early": {"type": "list", "elements": "str", "default": []},
    "dry_run": {"type": "str", "choices": ["harmless", "all", "never"], "default": "harmless"},
    "staging": {"type": "dict", "default": {}},
    "scheduled": {"type": "bool", "default": False},
    "config_dir": {"type": "path", "default": "/etc/letsencrypt"},
    "work_dir": {"type": "path", "default": "/var/lib/letsencrypt"},
    "logs_dir": {"type": "path", "default": "/var/log/letsencrypt"},
    "acme_ca_path": {"type": "path"},
    "timeout_seconds": {"type": "int", "default": 300},
    "lock_seconds": {"type": "int", "default": 120},
}


def host_of(module: AnsibleModule) -> Host:
    """Return where certbot works."""
    given = module.params
    path = module.get_bin_path("certbot", opt_dirs=["/usr/local/bin", "/snap/bin"])
    # On this signal it cleans up, and runs the hooks that start again what those before have stopped; on the usual one it does not.
    limit = ["timeout", "--signal=INT", "--kill-after=60", str(given["timeout_seconds"])]
    trust = {"REQUESTS_CA_BUNDLE": given["acme_ca_path"]} if given["acme_ca_path"] else {}
    return Host(
        Path(given["config_dir"]),
        tuple(f"--{key.replace('_', '-')}={given[key]}" for key in ("config_dir", "work_dir", "logs_dir")),
        Certbot(module, path, within=limit, environment=trust) if path else None,
        Redactor(),
        given["lock_seconds"],
        lambda: datetime.now(timezone.utc),
    )


def run(given: dict[str, Any], *, host: Host, seen: habits.Habits, check_mode: bool) -> dict[str, Any]:
    """Renew what is due, or in check mode try all.

    :raises CertbotError: the lineages cannot be read, or one of those named is not there.
    """
    before = host.lineages()
    known = {*before, *given["required"]}
    for name in [*given["names"], *given["early"]]:
        if name not in known:
            raise CertbotError(
                f"certbot has no lineage {name!r} (there is {', '.join(sorted(known)) or 'none'}): correct it"
            )
    steps = plan(before, given["names"], given["early"], required=given["required"], now=host.now())
    found = carry_out(host, steps, before, dry_run=given["dry_run"], staging=given["staging"], check=check_mode)
    after = before if check_mode else host.lineages()

    changes = changes_of(found, before, after, check=check_mode)
    renewed = [change["thing"] for change in changes]
    checks = checks_of(found, after, dry_run=given["dry_run"], check=check_mode)
    for one in found:
        name = one.step.name
        if name in after:
            is_served = name in given["served"]
            checks.append(habits.judge_hooks(name, after[name], seen, served=is_served, failed=one.hooks))
    if before:
        checks.append(habits.judge_timers(seen, scheduled=given["scheduled"]))
    return {
        "changed": bool(renewed),
        "actions": [f"renew {name}" for name in renewed],
        "certificates": [summary(one, after.get(one.step.name)) for one in found],
        "renewed": renewed,
        "failures": [f"{one.step.name}: {one.reason}" for one in found if one.status == "failed"],
        "checks": checks,
        "changes": changes,
        "diff": diff_of(before, [one.step for one in found if one.step.name in renewed]),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        systemctl = Command(module, "systemctl") if module.get_bin_path("systemctl") else None
        seen = habits.look(Path("/"), Path(module.params["config_dir"]), systemctl=systemctl)
        result = run(module.params, host=host_of(module), seen=seen, check_mode=module.check_mode)
    except CommandError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except CertbotError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename} cannot be read ({exc.strerror}): use become, or run this again")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
