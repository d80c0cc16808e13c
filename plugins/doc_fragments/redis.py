# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that modules share: how a Redis server is reached."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the server is, and who asks."""

    DOCUMENTATION = r"""
options:
  name:
    description: What the server is called in backups and messages.
    type: str
    required: true
  host:
    description: Name or address of the server.
    type: str
    default: 127.0.0.1
  port:
    description: Its TCP port.
    type: int
    default: 6379
  socket:
    description: Its Unix socket, instead of O(host) and O(port).
    type: path
  container:
    description: Container that it runs in, instead of O(host). Its address is asked of Docker.
    type: str
  project:
    description: Compose project of that container, with O(service) instead of O(container).
    type: str
  service:
    description: Compose service that it runs in.
    type: str
  user:
    description: Account to log in as. The default one without it.
    type: str
  password:
    description: Its password. It is sent to the server, and is on no command line.
    type: str
  tls:
    description: Whether the server speaks TLS.
    type: bool
    default: false
  verify:
    description: With O(tls), check the server's certificate.
    type: bool
    default: true
  ca_path:
    description: With O(tls), file of certificates to trust instead of the system's store.
    type: path
"""
