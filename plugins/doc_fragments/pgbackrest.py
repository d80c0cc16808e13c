# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that the modules of pgBackRest share."""

from __future__ import annotations


class ModuleDocFragment:
    """Which stanza, and how its server is reached."""

    DOCUMENTATION = r"""
options:
  stanza:
    description: Name of the stanza, which is what pgBackRest calls a cluster.
    type: str
    required: true
  config:
    description: Configuration of pgBackRest. Without it C(/etc/pgbackrest) is read.
    type: path
  run_as:
    description: Operating system account of the server, which runs pgBackRest and C(psql).
    type: str
    default: postgres
  login_port:
    description: Port of the server, a part of the socket's name.
    type: int
    default: 5432
    aliases: [port]
  login_unix_socket:
    description:
      - Directory of the local socket.
      - Without it the one that C(psql) was built with.
    type: path
    default: ""
    aliases: [unix_socket]
notes:
  - Needs C(pgbackrest) 2.37 or later and C(psql) on the host of the server. Servers in containers and elsewhere are not for it.
"""
