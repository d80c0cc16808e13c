# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections are told by state and by who makes them, and an attack is told from load."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._diagnose_sockets import (
    Connection,
    listen_drops,
    parse,
    summarise,
)

LISTEN = Connection(443, "0.0.0.0", 0, "LISTEN")  # noqa: S104  # what the kernel says


def test_the_kernels_lines_are_read():
    lines = [
        "   0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0",
        "   1: 0100007F:0016 097100CB:D431 01 00000000:00000000 02:000A 00000000     0        0 2 2 0 20 4 29 10 -1",
        "   2: 00000000000000000000000000000000:0050 0000000000000000FFFF0000097100CB:D431 03 0 0 0 0 0",
        "   3: B80D0120000000000000000001000000:0050 B80D0120000000000000000002000000:D431 06 0 0 0 0 0",
        "junk",
    ]
    assert parse(lines) == [
        Connection(443, "0.0.0.0", 0, "LISTEN"),  # noqa: S104
        Connection(22, "203.0.113.9", 54321, "ESTABLISHED"),
        Connection(80, "203.0.113.9", 54321, "SYN_RECV"),
        Connection(80, "2001:db8::2", 54321, "TIME_WAIT"),
    ]


@pytest.mark.parametrize(
    ("connections", "note"),
    [
        pytest.param([LISTEN], "no connection from outside", id="nobody"),
        pytest.param(
            [LISTEN, *(Connection(443, f"198.51.100.{n % 100}", n, "ESTABLISHED") for n in range(300))],
            "300 connections from 100 addresses, the busiest is 198.51.100.0 with 3 (1 %)",
            id="load",
        ),
        pytest.param(
            [LISTEN, *(Connection(443, "203.0.113.9", n, "ESTABLISHED") for n in range(90)), Connection(443, "198.51.100.1", 1, "TIME_WAIT")],
            "91 connections from 2 addresses, the busiest is 203.0.113.9 with 90 (99 %): one client makes most of them",
            id="one client",
        ),
        pytest.param(
            [LISTEN, *(Connection(443, f"198.51.100.{n % 250}", n, "SYN_RECV") for n in range(500))],
            "500 connections from 250 addresses, the busiest is 198.51.100.0 with 2 (0 %); 500 are half open: this looks like a SYN flood",
            id="a flood",
        ),
        pytest.param(
            [
                LISTEN,
                *(Connection(443, "127.0.0.1", n, "ESTABLISHED") for n in range(90)),
                *(Connection(n, "203.0.113.9", 443, "ESTABLISHED") for n in range(40000, 40090)),
            ],
            "no connection from outside",
            id="the host's own are left out",
        ),
    ],
)  # fmt: skip
def test_an_attack_is_told_from_load(connections, note):
    found = summarise(connections, [80, 443])
    assert found.note == note


def test_what_the_kernel_dropped_is_told():
    assert listen_drops("TcpExt: SyncookiesSent ListenOverflows\nTcpExt: 1 17\nIpExt: a\nIpExt: 1\n") == 17
    assert listen_drops("") == 0
