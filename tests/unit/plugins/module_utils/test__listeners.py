# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who takes connections on a port: asked of the kernel about this very process."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._listeners import LISTEN, listeners, parse, taken_by

LINE = "   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 ffff 100 0"


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


def test_a_line_of_the_kernel_is_read():
    [found] = parse(["", LINE, "rubbish"])
    assert (found.port, found.state, found.uid, found.inode) == (3000, LISTEN, 1000, 4242)


def test_the_listener_of_a_port_is_found_and_named(server):
    [found] = listeners(None, server.getsockname()[1])
    assert found.pid == os.getpid()
    assert "python" in str(found) or "pytest" in str(found)


def test_nobody_listens_on_a_port_that_was_given_back(server):
    port = server.getsockname()[1]
    server.close()
    assert listeners(None, port) == []
    assert taken_by(None, port, seconds=1) is None


def test_who_accepts_a_connection_is_found(server):
    accepted = []
    thread = threading.Thread(target=lambda: accepted.append(server.accept()))
    thread.start()
    found = taken_by(None, server.getsockname()[1], seconds=10)
    thread.join()
    accepted[0][0].close()
    assert [one.pid for one in found] == [os.getpid()]


def test_a_listener_that_accepts_nothing_is_no_server(server):
    with pytest.raises(OSError, match="nobody accepts connections"):
        taken_by(None, server.getsockname()[1], seconds=0.1)


def test_one_that_passes_connections_on_is_named_only_where_nobody_takes_them(server):
    accepted = []
    thread = threading.Thread(target=lambda: accepted.append(server.accept()))
    thread.start()
    found = taken_by(None, server.getsockname()[1], seconds=0.2, passes_on=lambda _holder: True)
    thread.join()
    accepted[0][0].close()
    assert [one.pid for one in found] == [os.getpid()]
