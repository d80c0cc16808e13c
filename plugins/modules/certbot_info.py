#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: read the state of certbot's lineages from its files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certbot_info
short_description: Read the certificates that certbot keeps
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Returns expiry, names, way of renewal and problems of every lineage of certbot.
  - Reads certbot's files and never starts certbot, which takes its lock even to list certificates.
  - A host without certbot, or without a certificate, has an empty list.
  - The directories belong to root; use C(become).
extends_documentation_fragment:
  - runbook.ops.attributes.info
options:
  config_dir:
    description: The configuration directory of certbot.
    type: path
    default: /etc/letsencrypt
  names:
    description: Only these lineages. One that is missing is an error. Without it all are returned.
    type: list
    elements: str
    default: []
  warning_days:
    description:
      - Warn when fewer days are left.
      - certbot renews a certificate of 90 days when 30 are left, so with V(30) a healthy one may warn until the next
        renewal has run; V(20) warns only when renewals have failed for days.
    type: int
    default: 30
  critical_days:
    description: Critical when fewer days are left.
    type: int
    default: 7
"""

EXAMPLES = r"""
- name: Look at all certificates
  runbook.ops.certbot_info:
  become: true
  register: lineages

- name: Stop when one is about to expire
  ansible.builtin.assert:
    that: lineages['certificates'] | rejectattr('days_left', 'ge', 7) | length == 0
"""

RETURN = r"""
certificates:
  description: The lineages, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the lineage.
      type: str
    domains:
      description: Names and addresses that the certificate is valid for.
      type: list
      elements: str
    issuer:
      description: Who signed it.
      type: str
    serial:
      description: Serial number in hexadecimal.
      type: str
    fingerprint_sha256:
      description: SHA-256 of the certificate in hexadecimal.
      type: str
    valid_from:
      description: Start of validity, ISO 8601 in UTC.
      type: str
    expires_at:
      description: End of validity, ISO 8601 in UTC.
      type: str
    days_left:
      description: Whole days until then, negative once expired, null without a readable certificate.
      type: int
    chain_certificates:
      description: Number of certificates in C(fullchain.pem) after its own.
      type: int
    key_present:
      description: Whether the private key is there.
      type: bool
    key_mode:
      description: Permissions of the private key in octal.
      type: str
    authenticator:
      description: How control of the names is proven, such as V(webroot).
      type: str
    installer:
      description: What installs it, such as V(nginx).
      type: str
    server:
      description: Directory URL of the certificate authority.
      type: str
    key_type:
      description: Type of key that a renewal makes.
      type: str
    problems:
      description: What is wrong with the files, one line each.
      type: list
      elements: str
checks:
  description: One for each certificate.
  returned: success
  type: list
  elements: dict
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._certbot import describe, judge
from ansible_collections.runbook.ops.plugins.module_utils._certbot_files import CertbotError, lineages_of, observe
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError

ARGUMENTS: dict[str, Any] = {
    "config_dir": {"type": "path", "default": "/etc/letsencrypt"},
    "names": {"type": "list", "elements": "str", "default": []},
    "warning_days": {"type": "int", "default": 30},
    "critical_days": {"type": "int", "default": 7},
}


def run(
    config_dir: str,
    names: Sequence[str],
    warning_days: int,
    critical_days: int,
    *,
    openssl: Callable[..., str] | None,
    now: datetime,
) -> dict[str, Any]:
    """Return the lineages, or those called ``names``.

    :raises CertbotError: one of ``names`` is not there, or the files may not be read.
    """
    config = Path(config_dir)
    try:
        found = lineages_of(config)
        missing = [name for name in names if name not in found]
        if missing:
            there = ", ".join(found) or "none"
            raise CertbotError(
                f"certbot has no lineage {missing[0]!r} in {config_dir} (there is {there}): correct names, or obtain it"
            )
        lineages = [observe(config, name, openssl=openssl) for name in found if name in names or not names]
    except PermissionError as exc:
        raise CertbotError(f"{exc.filename} may not be read: these files belong to root, use become") from exc
    certificates = [describe(lineage, now=now) for lineage in lineages]
    checks = judge(certificates, warning=warning_days, critical=critical_days)
    return {"changed": False, "certificates": certificates, "checks": checks}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    openssl = Command(module, "openssl") if module.get_bin_path("openssl") else None
    try:
        result = run(**module.params, openssl=openssl, now=datetime.now(timezone.utc))
    except CommandError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except CertbotError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
