# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One request, bounded in time and size, whatever the server does."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError, ask, split_url


@pytest.fixture
def serve():
    """Return a function that answers one connection with the given parts, and returns the port."""
    sockets = []

    def start(*parts, pause=0.0, linger=0.0):
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)

        def answer():
            connection, _peer = listener.accept()
            with connection:
                connection.recv(65536)
                try:
                    for part in parts:
                        connection.sendall(part)
                        time.sleep(pause)
                    time.sleep(linger)
                except OSError:
                    return  # the client has had enough, which some tests are about

        threading.Thread(target=answer, daemon=True).start()
        return listener.getsockname()[1]

    yield start
    for listener in sockets:
        listener.close()


def get(port, **options):
    return ask(f"http://127.0.0.1:{port}/health", **{"timeout_seconds": 20, **options})


@pytest.mark.parametrize(
    ("parts", "status", "body"),
    [
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello more"], 200, b"hello", id="length"),
        pytest.param([b"HTTP/1.0 200 OK\r\n\r\nhel", b"lo"], 200, b"hello", id="until it closes"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", b"2;x=y\r\nlo\r\n0\r\n\r\n"],
            200,
            b"hello",
            id="chunks",
        ),
        pytest.param([b"HTTP/1.1 204 No Content\r\n\r\n"], 204, b"", id="no content"),
        pytest.param(
            [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], 200, b"", id="early"
        ),
        pytest.param([b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"], 302, b"", id="redirect"),
        pytest.param([b"HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n"], 503, b"", id="no reason"),
    ],
)
def test_an_answer_is_read_as_it_was_sent(serve, parts, status, body):
    answer = get(serve(*parts))
    assert (answer.status, answer.body, answer.truncated) == (status, body, False)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        pytest.param([b"SSH-2.0-OpenSSH\r\n"], "not HTTP", id="another protocol"),
        pytest.param([b""], "closed the connection before", id="nothing"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"], "after 4 of 50 bytes", id="half a body"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"], "within a chunk", id="half a chunk"
        ),
        pytest.param([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n"], "no size", id="negative chunk"),
        pytest.param([b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000], "headers are longer", id="endless headers"),
        pytest.param([b"x" * 200_000], "too long", id="endless line"),
    ],
)
def test_what_is_no_answer_is_said_in_one_line(serve, parts, words):
    with pytest.raises(HttpError, match=words):
        get(serve(*parts))


def test_a_body_without_end_is_cut():
    listener = socket.create_server(("127.0.0.1", 0))

    def flood():
        connection, _peer = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            try:
                while True:
                    connection.sendall(b"x" * 65536)
            except OSError:
                return

    threading.Thread(target=flood, daemon=True).start()
    answer = get(listener.getsockname()[1], body_limit_bytes=1000)
    listener.close()
    assert (len(answer.body), answer.truncated) == (1000, True)


def test_a_server_that_drips_does_not_hold_us(serve):
    began = time.monotonic()
    with pytest.raises(HttpError, match=r"no answer within 0\.4 s"):
        get(serve(*[b"x"] * 600, pause=0.1), timeout_seconds=0.4)
    assert time.monotonic() - began < 30


def test_a_closed_port_is_said():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(HttpError, match="Connection refused"):
        get(port)


def test_another_address_can_be_asked_for_the_same_host(serve):
    port = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert ask(f"http://shop.invalid:{port}/", address="127.0.0.1", timeout_seconds=20).status == 200


def test_a_header_cannot_smuggle_a_second_request():
    with pytest.raises(HttpError, match="line break"):
        ask("http://127.0.0.1:1/", headers={"X": "a\r\nHost: b"}, timeout_seconds=1)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://a/x?y=1", ("http", "a", 80, "/x?y=1")),
        ("https://a", ("https", "a", 443, "/")),
        ("https://[::1]:8443/h#top", ("https", "::1", 8443, "/h")),
        ("http://a?q", ("http", "a", 80, "/?q")),
    ],
)
def test_a_url_is_taken_apart(url, parts):
    assert split_url(url) == parts


@pytest.mark.parametrize(
    "url", ["", "a/b", "ftp://a/", "http://u:p@a/", "http://a:0/", "http://a:99999/", "http://a/ b", "http://a/\r\n"]
)
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ValueError, match="is not a URL"):
        split_url(url)
