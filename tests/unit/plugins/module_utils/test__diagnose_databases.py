# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions are told by state and by who waits for whom, and never by what they ask for."""

from __future__ import annotations

from ansible_collections.runbook.ops.plugins.module_utils import _diagnose_databases as databases
from ansible_collections.runbook.ops.plugins.module_utils._proc import Process

SAID = {
    "version": "PostgreSQL 17",
    "started": "2026-11-21T12:00:00",
    "replica": False,
    "max_connections": 100,
    "reserved": 3,
    "clients": 90,
    "states": [
        {
            "datname": "shop",
            "usename": "app",
            "application_name": "",
            "state": "idle",
            "wait_event_type": "Client",
            "sessions": 88,
            "transaction": None,
            "since": 5,
        }
    ],
    "busy": [
        {
            "pid": 7,
            "usename": "app",
            "state": "idle in transaction",
            "wait_event_type": None,
            "wait_event": None,
            "transaction": 300,
            "query_seconds": 299,
            "blocked_by": [],
            "query": "UPDATE users SET mail = 'joe@example.com' WHERE id = 17",
        },
        {
            "pid": 8,
            "usename": "app",
            "state": "active",
            "wait_event_type": "Lock",
            "wait_event": "transactionid",
            "transaction": 200,
            "query_seconds": 200,
            "blocked_by": [7],
            "query": "DELETE FROM users WHERE name = 'Joe",
        },
    ],
    "databases": [{"datname": "shop", "deadlocks": 0}],
    "replication": [],
}


def test_sessions_are_compared_with_the_limit_and_statements_lose_their_values():
    found = databases.told(SAID)
    assert found.note == "90 of 97 connections, 1 wait for another, oldest transaction 300 s"
    assert "UPDATE users SET mail = ? WHERE id = ?" in found.text
    assert "DELETE FROM users WHERE name = ?" in found.text
    assert "joe" not in found.text.lower()
    assert "idle in transaction" in found.text
    assert "Lock transactionid" in found.text


def test_without_a_connection_the_processes_tell_who_holds_them():
    def process(pid, title):
        return Process(pid=pid, parent=1, name="postgres", started_at=100.0, memory_bytes=0, cgroups=(), title=title)

    idle = [process(pid, f"postgres: app shop 10.0.0.1({pid}) idle") for pid in range(3)]
    text = databases.titles([*idle, process(9, "postgres: checkpointer "), process(10, "nginx")], 160.0)
    assert "3  app shop #.#.#.## idle" in text
    assert "nginx" not in text
    assert "1m" in text
