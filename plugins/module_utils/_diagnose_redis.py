# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Redis says of itself, and which commands were slow; never their arguments. Private to this collection."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._diagnose import Found, table
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_databases import given_options
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._redis import (
    RedisDownError,
    RedisRefusedError,
    Refusal,
    parse_info,
)
from ansible_collections.runbook.ops.plugins.module_utils._redis_server import SERVER_OPTIONS, ask_server, find_server
from ansible_collections.runbook.ops.plugins.module_utils.probes.redis import slow_entry

TIMEOUT_SECONDS = 5


def redis(options: dict[str, Any]) -> Found:
    """Collect INFO, the slow log and the clients by where they come from and what they do."""
    asked = given_options("redis", options, SERVER_OPTIONS)
    try:
        server = find_server(asked)
        info, slow, clients = ask_server(
            server, [("INFO",), ("SLOWLOG", "GET", 50), ("CLIENT", "LIST")], TIMEOUT_SECONDS
        )
    except (RedisDownError, RedisRefusedError) as exc:
        raise ProbeError(str(exc)) from exc
    if isinstance(info, Refusal):
        raise ProbeError(info.text)
    known = parse_info(str(info))
    entries = [] if isinstance(slow, Refusal) else [slow_entry(entry) for entry in slow]
    at_work = Counter(_client(line) for line in ("" if isinstance(clients, Refusal) else str(clients)).splitlines())
    note = (
        f"{known.get('used_memory_human', '?')} used, {known.get('connected_clients', '?')} clients, "
        f"{known.get('blocked_clients', '?')} of them blocked, {len(entries)} slow commands"
    )
    rows = [[entry["at"], round(entry["seconds"], 4), entry["command"]] for entry in entries]
    parts = [note, "Slow commands\n" + table(["at", "seconds", "command"], rows),
             "Clients\n" + table(["address", "last command", "clients"], [(*key, n) for key, n in at_work.most_common(30)]),
             "INFO\n" + str(info)]  # fmt: skip
    return Found("\n\n".join(parts), note=note)


def _client(line: str) -> tuple[str, str]:
    fields = dict(part.partition("=")[::2] for part in line.split())
    return fields.get("addr", "?").rpartition(":")[0], fields.get("cmd", "?")
