#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: say what pgBackRest and the server that it saves are like."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_info
short_description: Say what pgBackRest has of a cluster, and how the cluster archives
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Returns the backups of a stanza, the earliest moment that can be recovered, gaps in the archive, and the settings of the server
    that have to do with it. It changes nothing.
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.attributes.info
  - runbook.ops.pgbackrest
seealso:
  - module: runbook.ops.pgbackrest_stanza
  - module: runbook.ops.pgbackrest_restore
"""

EXAMPLES = r"""
- name: See what can be recovered
  runbook.ops.pgbackrest_info:
    stanza: main
"""

RETURN = r"""
server:
  description: What the server tells of itself, such as C(archive_mode) and C(waits_for_restart). Null where it does not answer.
  returned: success
  type: dict
exists:
  description: Whether the repository has the stanza.
  returned: success
  type: bool
message:
  description: What pgBackRest says of it. Null where it is not installed, or not configured.
  returned: success
  type: str
backups:
  description: Its backups, the oldest first.
  returned: success
  type: list
  elements: dict
  sample: [{label: 20261121-170658F, kind: full, stopped_at: '2026-11-21T17:07:06Z', size_bytes: 30570834, damaged: false}]
earliest:
  description: The earliest moment that can be recovered. Null where none can.
  returned: success
  type: str
  sample: '2026-11-21T17:07:07Z'
gaps:
  description: The first segment of WAL of each gap in the archive.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import PgBackRestError, Stanza, iso
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_host import ARGUMENTS, PgBackRest
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_segments import first_needed, gaps


def run(program: PgBackRest) -> dict[str, Any]:
    server = program.server()
    try:
        stanza = program.info()
    except PgBackRestError as exc:
        stanza = Stanza(program.stanza, 99, str(exc))
    whole = [one for one in stanza.backups if not one.damaged]
    missing: list[tuple[str, int | None]] = []
    if whole:
        size = {"segment_bytes": server["segment_bytes"]} if server else {}
        missing = gaps(program.segments(stanza), after=first_needed(whole), **size)
    return {
        "changed": False,
        "server": server,
        "exists": stanza.exists,
        "message": stanza.message,
        "backups": [
            {
                **{key: getattr(one, key) for key in ("label", "kind", "size_bytes", "repository_bytes", "damaged")},
                "stopped_at": iso(one.stopped_at),
            }
            for one in stanza.backups
        ],
        "earliest": iso(min(one.stopped_at for one in whole) + 1) if whole else None,
        "gaps": [name for name, _at in missing],
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(PgBackRest(module.params))
    except PgBackRestError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
