# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PM2's socket is spoken to as PM2's own client does, and whatever answers cannot hang or flood us."""

from __future__ import annotations

import socket
import threading

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _pm2_socket
from ansible_collections.runbook.ops.plugins.module_utils._pm2_socket import (
    Pm2NotRunningError,
    Pm2SocketError,
    call,
    decode,
    encode,
    reply,
    request,
)

# What amp-message, the encoder inside PM2 7.0.4, makes of this call and of an answer to it.
REQUEST = b'\x12\x00\x00\x007j:{"type":"call","method":"getMonitorData","args":[{}]}\x00\x00\x00\x0bs:runbook:1'
ANSWER = b'\x12\x00\x00\x00\x0ej:{"args":[7]}\x00\x00\x00\x0bs:runbook:1'


def answer(body, identity=b"s:runbook:1"):
    return encode([body, identity])


def test_a_request_has_the_framing_of_the_protocol():
    assert request("getMonitorData", {}) == REQUEST


def test_an_answer_is_complete_only_with_its_last_byte():
    assert [decode(ANSWER[:size]) for size in range(len(ANSWER))] == [None] * len(ANSWER)
    assert reply(decode(ANSWER) or []) == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([b'j:{"args":[1]}', b"s:other:1"], "something else", id="the answer to another request"),
        pytest.param([b"j:{}"], "something else", id="no id"),
        pytest.param([b"j:{", b"s:runbook:1"], "not JSON", id="cut JSON"),
        pytest.param([b'j:{"error":"no such method"}', b"s:runbook:1"], "no such method", id="an error"),
        pytest.param([b"j:[]", b"s:runbook:1"], "refused", id="a list"),
    ],
)
def test_what_is_no_answer_is_refused(arguments, words):
    with pytest.raises(Pm2SocketError, match=words):
        reply(arguments)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"HTTP/1.1 200 OK", "unknown protocol", id="another protocol"),
        pytest.param(b"\x11\xff\xff\xff\xff", "at most", id="four gigabytes announced"),
    ],
)
def test_what_is_not_the_protocol_is_refused_at_once(data, words):
    with pytest.raises(Pm2SocketError, match=words):
        decode(data)


@pytest.fixture
def server(tmp_path):
    """Return a function that serves one connection with the given chunks, and the path of its socket."""
    path = str(tmp_path / "rpc.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    done = threading.Event()

    def serve(*chunks, close=True):
        def once():
            connection, _address = listener.accept()
            connection.recv(4096)
            for chunk in chunks:
                connection.sendall(chunk)
            if not close:
                done.wait(5)
            connection.close()

        thread = threading.Thread(target=once, daemon=True)
        thread.start()
        return path

    yield serve
    done.set()
    listener.close()


def test_an_answer_in_pieces_is_put_together(server):
    whole = answer(b'j:{"args":[[{"name":"api"}]]}')
    path = server(whole[:3], whole[3:20], whole[20:])
    assert call(path, "getMonitorData", {}) == [{"name": "api"}]


def test_a_daemon_that_hangs_is_given_up(server):
    with pytest.raises(Pm2SocketError, match=r"within 0\.2 s"):
        call(server(b"\x12", close=False), "getMonitorData", {}, timeout_seconds=0.2)


def test_a_daemon_that_dies_while_it_answers_is_an_error(server):
    with pytest.raises(Pm2SocketError, match="in the middle"):
        call(server(b"\x12\x00"), "getMonitorData", {})


def test_an_endless_answer_is_cut(server, monkeypatch):
    monkeypatch.setattr(_pm2_socket, "MOST_BYTES", 1000)
    head = b"\x12\x00\x00\x03\xe8" + b"x" * 1000
    with pytest.raises(Pm2SocketError, match="more than 1000"):
        call(server(head, close=False), "getMonitorData", {})


def test_no_socket_means_that_no_daemon_runs(tmp_path):
    with pytest.raises(Pm2NotRunningError):
        call(str(tmp_path / "rpc.sock"), "ping", {})


def test_a_socket_that_a_killed_daemon_left_means_that_none_runs(tmp_path):
    path = str(tmp_path / "rpc.sock")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    with pytest.raises(Pm2NotRunningError):
        call(path, "ping", {})
