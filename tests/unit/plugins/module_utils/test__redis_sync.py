# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump asked of a server that behaves in many ways."""

from __future__ import annotations

import socket
import threading

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._redis import RedisDownError, RedisRefusedError, Server
from ansible_collections.runbook.ops.plugins.module_utils._redis_sync import fetch_rdb

MARK = b"0123456789" * 4


@pytest.fixture
def ask(tmp_path):
    """Return what asks a server for its dump that answers each request by the next of some answers, then hangs up."""

    def run(*answers, password=None, timeout_seconds=20.0):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "s"))
        listener.listen(1)
        asked = []

        def serve():
            connection, _peer = listener.accept()
            with connection, listener:
                for answer in answers:
                    asked.append(connection.recv(4096))
                    for part in answer if isinstance(answer, list) else [answer]:
                        connection.sendall(part)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            pieces = fetch_rdb(
                Server(socket_path=str(tmp_path / "s"), password=password), timeout_seconds=timeout_seconds
            )
            return b"".join(pieces), b"".join(asked)
        finally:
            thread.join()

    return run


OK = b"+OK\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"$6\r\nREDISx", id="with its size"),
        pytest.param(
            [b"\n\n", b"\n$6\r\n", b"RED", b"ISx*1\r\n$4\r\nPING\r\n"],
            id="prepared for a while, and followed by commands",
        ),
        pytest.param(b"$EOF:" + MARK + b"\r\nREDISx" + MARK, id="with a mark at its end"),
        pytest.param([b"$EOF:" + MARK + b"\r\nRED", b"ISx" + MARK[:7], MARK[7:]], id="with a mark in two parts"),
    ],
)
def test_the_dump_is_all_that_comes_out(ask, answer):
    data, asked = ask(OK, OK, answer)
    assert data == b"REDISx"
    assert asked.endswith(b"*1\r\n$4\r\nSYNC\r\n")


def test_old_servers_that_know_no_capabilities_are_asked_all_the_same(ask):
    unknown = b"-ERR Unrecognized REPLCONF option: rdb-only\r\n"
    assert ask(unknown, unknown, b"$1\r\nR")[0] == b"R"


@pytest.mark.parametrize(
    ("answers", "error", "words"),
    [
        pytest.param([b"-NOAUTH Authentication required.\r\n"], RedisRefusedError, "NOAUTH", id="no password"),
        pytest.param([b"-NOPERM this user has no permissions\r\n"], RedisRefusedError, "NOPERM", id="no permission"),
        pytest.param(
            [OK, OK, b"-NOMASTERLINK Can't SYNC\r\n"], RedisRefusedError, "gives no dump", id="a lost replica"
        ),
        pytest.param([OK, OK, b"$9\r\nREDIS"], RedisDownError, "in the middle", id="killed in the middle"),
        pytest.param(
            [OK, OK, b"$EOF:" + MARK + b"\r\nREDIS"], RedisDownError, "in the middle", id="killed before the mark"
        ),
        pytest.param([OK, OK, b"HTTP/1.1 400 Bad Request\r\n"], RedisRefusedError, "not Redis", id="a web server"),
        pytest.param([OK, OK, b"x" * 5000], RedisRefusedError, "not Redis", id="endless noise"),
    ],
)
def test_anything_else_than_a_whole_dump_is_an_error(ask, answers, error, words):
    with pytest.raises(error, match=words):
        ask(*answers)


def test_a_password_that_is_sent_back_is_not_shown():
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _peer = listener.accept()
        with connection, listener:
            connection.recv(4096)
            connection.sendall(b"-ERR unknown command 'AUTH' s3cret\r\n")

    threading.Thread(target=serve).start()
    with pytest.raises(RedisRefusedError) as caught:
        list(fetch_rdb(Server(port=listener.getsockname()[1], password="s3cret"), timeout_seconds=20))
    assert "s3cret" not in str(caught.value)


def test_nobody_there_is_an_error(tmp_path):
    with pytest.raises(RedisDownError):
        list(fetch_rdb(Server(socket_path=str(tmp_path / "nobody")), timeout_seconds=1))
