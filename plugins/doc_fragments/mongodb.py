# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that modules share: how a MongoDB server is reached."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the server is, and who asks."""

    DOCUMENTATION = r"""
options:
  database:
    description: Name of the database.
    type: str
    required: true
  host:
    description: Name or address of the server. Of a replica set, its primary.
    type: str
    default: 127.0.0.1
  port:
    description: Its TCP port.
    type: int
    default: 27017
  container:
    description: Container that it runs in, instead of O(host). Its address is asked of Docker, and the tools run on this host.
    type: str
  project:
    description: Compose project of that container, with O(service) instead of O(container).
    type: str
  service:
    description: Compose service that it runs in.
    type: str
  user:
    description: Account to log in as. None without it.
    type: str
  password:
    description: Its password. The tools read it from a file that only exists in memory; it is on no command line.
    type: str
  auth_database:
    description: Database that knows the account.
    type: str
    default: admin
requirements:
  - MongoDB's database tools, C(mongodump) and C(mongorestore), 100.0 or later, on this host.
"""
