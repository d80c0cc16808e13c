# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis is spoken to in its own protocol, and whatever answers cannot hang, flood or repeat a password."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _redis
from ansible_collections.runbook.ops.plugins.module_utils._redis import (
    RedisDownError,
    RedisRefusedError,
    Refusal,
    Server,
    ask,
    decode,
    encode,
    number,
    one_line,
    parse_info,
)

ANSWERS = b"+PONG\r\n:7\r\n$5\r\na\r\nb\xc3\r\n$-1\r\n*2\r\n$1\r\nx\r\n*1\r\n:1\r\n-ERR no\r\n"


@pytest.fixture
def serve():
    """Return a function that answers one connection with the given bytes, and returns port and what was received."""
    listeners = []

    def start(answer, linger=0.0):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        got = []

        def run():
            connection, _peer = listener.accept()
            with connection:
                got.append(connection.recv(65536))
                connection.sendall(answer)
                time.sleep(linger)

        threading.Thread(target=run, daemon=True).start()
        return listener.getsockname()[1], got

    yield start
    for listener in listeners:
        listener.close()


def test_a_value_cannot_become_a_command():
    assert encode(("AUTH", "a\r\nFLUSHALL\r\n")) == b"*2\r\n$4\r\nAUTH\r\n$13\r\na\r\nFLUSHALL\r\n\r\n"
    assert encode(("SELECT", 3)) == b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"


def test_every_kind_of_answer_is_read():
    found, offset = [], 0
    while offset < len(ANSWERS):
        value, offset = decode(ANSWERS, offset)
        found.append(value)
    assert found == ["PONG", 7, "a\r\nb�", None, ["x", [1]], Refusal("ERR no")]


def test_an_answer_is_complete_only_with_its_last_byte():
    for whole, value in ((b"*2\r\n$1\r\nx\r\n*1\r\n:1\r\n", ["x", [1]]), (b"$1\r\nx\r\n", "x")):
        assert [decode(whole[:size]) for size in range(len(whole))] == [None] * len(whole)
        assert decode(whole) == (value, len(whole))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", id="a web server"),
        pytest.param(b"$x\r\n", id="no length"),
        pytest.param(b"*1\r\n" * 20, id="nested without end"),
    ],
)
def test_another_protocol_is_told(data):
    with pytest.raises(RedisRefusedError, match="not Redis"):
        decode(data)


def test_login_database_and_questions_go_in_one_round_trip(serve):
    port, got = serve(b"+OK\r\n+OK\r\n+PONG\r\n")
    server = Server(port=port, user="ops", password="pa ss", database=2)
    assert ask(server, [("PING",)], timeout_seconds=20) == ["PONG"]
    assert got[0] == encode(("AUTH", "ops", "pa ss")) + encode(("SELECT", 2)) + encode(("PING",))


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        pytest.param(b"-WRONGPASS invalid username-password pair\r\n", RedisRefusedError, "WRONGPASS", id="password"),
        pytest.param(b"+OK\r\n-NOAUTH Authentication required.\r\n", RedisRefusedError, "required$", id="no login"),
        pytest.param(b"-ERR AUTH <password> called without any\r\n+PONG\r\n", RedisRefusedError, "without", id="open"),
        pytest.param(b"-DENIED Redis is running in protected mode. 1)\r\n", RedisRefusedError, "mode$", id="protected"),
        pytest.param(b"-ERR max number of clients reached\r\n", RedisDownError, "max number", id="no room"),
        pytest.param(b"", RedisDownError, "closed", id="hangs up"),
    ],
)
def test_who_does_not_serve_and_who_does_not_tell_are_two_things(serve, answer, error, words):
    port, _got = serve(answer)
    with pytest.raises(error, match=words):
        ask(Server(port=port, password="s3cr3t"), [("PING",)], timeout_seconds=20)


def test_a_server_that_hangs_up_on_a_question_is_heard_before_it_is_asked():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            for _time in range(2):
                connection, _peer = listener.accept()
                # Closed with the question unread, and without lingering: the answer is lost on who had asked.
                time.sleep(0.05)
                if _time:
                    connection.sendall(b"-ERR max number of clients reached\r\n")
                else:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.close()

        threading.Thread(target=refuse, daemon=True).start()
        with pytest.raises(RedisDownError, match="max number of clients reached"):
            ask(Server(port=listener.getsockname()[1]), [("PING",)], timeout_seconds=20)


def test_what_is_no_redis_cannot_make_us_show_the_password(serve):
    port, _got = serve(b"-ERR unknown command 'AUTH', with args beginning with: 's3cr3t'\r\n+PONG\r\n")
    with pytest.raises(RedisRefusedError) as caught:
        ask(Server(port=port, password="s3cr3t"), [("PING",)], timeout_seconds=20)
    assert "s3cr3t" not in str(caught.value)


def test_a_refused_question_does_not_spoil_the_others(serve):
    port, _got = serve(b"+PONG\r\n-NOPERM this user has no permissions to run the 'info' command\r\n")
    pong, info = ask(Server(port=port), [("PING",), ("INFO",)], timeout_seconds=20)
    assert (pong, info.text[:6]) == ("PONG", "NOPERM")


def test_a_silent_server_is_waited_for_only_so_long(serve):
    port, _got = serve(b"$100\r\n", linger=60)
    began = time.monotonic()
    with pytest.raises(RedisDownError, match=r"no answer within 0\.2 s"):
        ask(Server(port=port), [("PING",)], timeout_seconds=0.2)
    assert time.monotonic() - began < 30


def test_a_flood_is_cut_off(serve, monkeypatch):
    monkeypatch.setattr(_redis, "MOST_BYTES", 1000)
    port, _got = serve(b"$99999\r\n" + b"x" * 5000, linger=1)
    with pytest.raises(RedisRefusedError, match="more than 1000 bytes"):
        ask(Server(port=port), [("PING",)], timeout_seconds=20)


def test_nobody_there_is_down(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(RedisDownError, match="refused"):
            ask(Server(port=free.getsockname()[1]), [("PING",)], timeout_seconds=1)
    with pytest.raises(RedisDownError, match="No such file"):
        ask(Server(socket_path=str(tmp_path / "none.sock")), [("PING",)], timeout_seconds=1)


def test_a_socket_serves_as_well(tmp_path):
    path = str(tmp_path / "redis.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def answer():
            connection, _peer = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"+PONG\r\n")

        threading.Thread(target=answer, daemon=True).start()
        assert ask(Server(socket_path=path), [("PING",)], timeout_seconds=20) == ["PONG"]


def test_info_is_read_by_key():
    info = parse_info("# Server\r\nredis_version:7.0.15\r\nmaxmemory:0\r\nslave0:ip=10.0.0.1,port=1\r\n")
    assert info == {"redis_version": "7.0.15", "maxmemory": "0", "slave0": "ip=10.0.0.1,port=1"}
    assert (number(info, "maxmemory"), number(info, "redis_version"), number(info, "none")) == (0, None, None)
    assert (
        one_line("LOADING Redis is loading the dataset in memory") == "LOADING Redis is loading the dataset in memory"
    )
