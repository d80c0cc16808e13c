# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a probe finds a Redis server: by address, by socket, or within a container. Private to this collection."""

from __future__ import annotations

from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._redis import (
    RedisRefusedError,
    Server,
    ask,
)

SERVER_OPTIONS = {
    "host": Option("str", "name or address of the server", "127.0.0.1"),
    "port": Option("int", "its TCP port", 6379),
    "socket": Option("str", "its Unix socket, instead of host and port"),
    "container": Option("str", "container that it runs in, instead of host: its address is asked of Docker"),
    "project": Option("str", "Compose project of that container, instead of its name"),
    "service": Option("str", "service within project"),
    "user": Option("str", "account to log in as; without it the default one"),
    "password": Option("secret", "name of the password among the secrets"),
    "database": Option("int", "number of the database", 0),
    "tls": Option("bool", "whether it speaks TLS", False),
    "verify": Option("bool", "with tls: check the server's certificate", True),
    "ca_path": Option("str", "with tls: file of certificates to trust instead of the system's store"),
}

# The same for a module: see the fragment runbook.ops.redis.
SERVER_ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "host": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "default": 6379},
    "socket": {"type": "path"},
    "container": {"type": "str"},
    "project": {"type": "str"},
    "service": {"type": "str"},
    "user": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "tls": {"type": "bool", "default": False},
    "verify": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
}


def find_server(options: dict[str, Any]) -> Server:
    """Return the server that ``options`` tell of.

    :raises ProbeError: Docker does not tell the address of the container.
    """
    host = options["host"]
    if options["container"] or options["service"]:
        # Only who has containers pays for the question.
        from ansible_collections.runbook.ops.plugins.module_utils._docker import container_address  # noqa: PLC0415

        try:
            host = container_address(
                project=options["project"], service=options["service"], container=options["container"]
            )
        except (OSError, ValueError) as exc:
            reason = getattr(exc, "strerror", None) or exc
            wanted = options["container"] or options["service"]
            raise ProbeError(
                f"Docker does not tell where {wanted} is: {reason}", "see what runs: docker ps -a"
            ) from exc
    keys = ("user", "password", "database", "tls", "verify", "ca_path")
    return Server(host, options["port"], options["socket"], **{key: options[key] for key in keys})


def ask_server(server: Server, commands: list[tuple[str | int, ...]], timeout_seconds: float) -> list[Any]:
    """Return the answers, as :func:`ask` does.

    :raises ProbeError: the server does not talk to us, which says nothing about its health.
    :raises RedisDownError: it does not serve.
    """
    try:
        return ask(server, commands, timeout_seconds=timeout_seconds)
    except RedisRefusedError as exc:
        raise ProbeError(f"{server.place} did not tell: {exc}", "correct host, port, user or password") from exc
