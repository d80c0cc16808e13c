# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that modules share: how a PostgreSQL server is reached."""

from __future__ import annotations


class ModuleDocFragment:
    """Options with the names that users of community.postgresql know."""

    # Of modules that work on several databases; beside it goes CONNECTION.
    DOCUMENTATION = r"""
options:
  databases:
    description: The databases to work on.
    type: list
    elements: str
    required: true
"""

    CONNECTION = r"""
options:
  login_host:
    description:
      - Host of the server.
      - Without it the local socket is used.
    type: str
    default: ""
    aliases: [host]
  login_port:
    description: Port of the server, also a part of the socket's name.
    type: int
    default: 5432
    aliases: [port]
  login_user:
    description:
      - Role to log in as.
      - Without it the name of the operating system account that runs C(psql), which is O(run_as) on the local socket.
    type: str
  login_password:
    description:
      - Password of the role. It reaches C(psql) in the environment, never as an argument.
      - Without it a password file, a certificate or peer authentication must do.
    type: str
  login_unix_socket:
    description:
      - Directory of the local socket.
      - Without it the one that C(psql) was built with.
    type: path
    default: ""
    aliases: [unix_socket]
  ssl_mode:
    description: How much encryption is asked for on a TCP connection, as in libpq.
    type: str
    default: prefer
    choices: [disable, allow, prefer, require, verify-ca, verify-full]
  connect_timeout_seconds:
    description: How many seconds to wait for a connection.
    type: int
    default: 10
  run_as:
    description:
      - Operating system account that runs C(psql) when the module runs as root and the local socket is used, so that
        peer authentication lets it in.
      - Without root, or over TCP, C(psql) runs as the module's own account.
    type: str
    default: postgres
notes:
  - Needs C(psql) on the host where it runs, and nothing else; no Python driver.
  - Supports PostgreSQL 12 and later.
"""

    # Of modules that work on one database, with PostgreSQL's own programs, also inside a container; beside it goes CONNECTION.
    SERVER = r"""
options:
  container:
    description:
      - Name of the container that the server runs in. Its programs are then used, over its local socket, by C(docker exec);
        O(login_host), O(login_port), O(login_unix_socket) and O(ssl_mode) mean nothing then.
      - Without O(login_user) the role is O(run_as).
    type: str
  project:
    description: Compose project of that container, instead of its name. Goes with O(service).
    type: str
  service:
    description: Compose service within O(project).
    type: str
"""
