# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage that is in trouble is asked again, a refusal is final, and neither takes longer than it may. Over real sockets."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _s3_connection, _s3_storage
from ansible_collections.runbook.ops.plugins.module_utils._s3_connection import Body
from ansible_collections.runbook.ops.plugins.module_utils._s3_objects import (
    list_unfinished,
    look,
    read_object,
    side_by_side,
)
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import (
    GoneError,
    Place,
    S3Error,
    Storage,
    Wish,
)

READ = Wish("read a", "GET", "a")
SECRET = "very/secret"


def answer(status, body=b"", **headers):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {headers.pop('length', len(body))}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def error(status, code, **headers):
    return answer(status, f"<Error><Code>{code}</Code></Error>".encode(), **headers)


class Server:
    """Gives one scripted answer after the other, the last one for ever; None hangs up, a number waits so many seconds."""

    def __init__(self, *answers, reads_body=True):
        self.answers, self.reads_body, self.asked = list(answers), reads_body, []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _address = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection, connection.makefile("rb") as stream:
            while line := stream.readline():
                head = [line]
                while (line := stream.readline()) not in (b"\r\n", b""):
                    head.append(line)
                self.asked.append(b"".join(head).decode())
                length = next((int(one.split(b":")[1]) for one in head if one.lower().startswith(b"content-length")), 0)
                if self.reads_body:
                    stream.read(length)
                said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if said is None:
                    return
                if isinstance(said, float):
                    time.sleep(said)
                    return
                connection.sendall(said)
                if not self.reads_body or b"Connection: close" in said:
                    return

    def storage(self, **more):
        place = {"bucket": "b", "access_key": "AK", "secret_key": SECRET, "timeout_seconds": 20, "retry_seconds": 30}
        return Storage(Place(**{**place, "endpoint": f"http://127.0.0.1:{self.port}", **more}))


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    monkeypatch.setattr(_s3_storage, "PAUSES", (0.01, 0.05))


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(error(500, "InternalError"), id="an error of the server"),
        pytest.param(error(503, "SlowDown", Retry_After="1"), id="asked to be slower"),
        pytest.param(answer(429), id="too many requests"),
        pytest.param(error(400, "RequestTimeout"), id="they did not get it in time"),
        pytest.param(answer(200, b"\n<Error><Code>InternalError</Code></Error>"), id="an error after a good status"),
        pytest.param(None, id="it hangs up"),
        pytest.param(60.0, id="it says nothing"),
        pytest.param(answer(200, b"half", length=9, Connection="close"), id="too short an answer"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", id="no HTTP"),
        pytest.param(error(400, "BadDigest"), id="what was sent arrived damaged"),
    ],
)
def test_what_can_pass_is_tried_again(trouble):
    server = Server(trouble, answer(200, b"good"))
    patience = 1 if trouble == 60.0 else 20
    assert server.storage(timeout_seconds=patience).ask(READ).text == "good"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        pytest.param(error(403, "AccessDenied"), "may not read a; allow the key to read a", id="denied"),
        pytest.param(error(403, "SignatureDoesNotMatch"), "the secret key is wrong", id="wrong secret"),
        pytest.param(error(404, "NoSuchBucket"), "there is no bucket b", id="no bucket"),
        pytest.param(error(501, "NotImplemented"), "has no such setting", id="not known there"),
        pytest.param(error(403, "InvalidObjectState"), "archived", id="archived"),
        pytest.param(answer(302, Location="http://127.0.0.1/"), "HTTP 302", id="redirects are not followed"),
    ],
)
def test_a_refusal_is_final_and_keeps_the_secret(refusal, words):
    server = Server(refusal)
    with pytest.raises(S3Error, match=words) as raised:
        server.storage().ask(READ)
    assert len(server.asked) == 1
    assert SECRET not in str(raised.value) + server.asked[0]


def test_what_is_not_there_has_an_error_of_its_own():
    with pytest.raises(GoneError, match="nothing of that name"):
        Server(error(404, "NoSuchKey")).storage().ask(READ)
    assert look(Server(answer(404)).storage(), "a", checksum=True) is None


def test_patience_ends_and_the_message_tells_how_often_it_was_tried():
    began = time.monotonic()
    with pytest.raises(
        S3Error, match=r"cannot read a at 127.0.0.1:\d+: HTTP 500 InternalError; tried \d+ times"
    ) as raised:
        Server(error(500, "InternalError")).storage(retry_seconds=0.3).ask(READ)
    assert time.monotonic() - began < 20
    assert "\n" not in str(raised.value)


def test_data_that_arrives_damaged_again_and_again_is_not_tried_for_long():
    server = Server(error(400, "BadDigest"))
    with pytest.raises(S3Error, match="arrived damaged; tried 3 times"):
        server.storage(retry_seconds=60).ask(READ)
    assert len(server.asked) == 3


def test_nobody_goes_on_trying_once_another_thread_gave_up():
    storage = Server(error(500, "InternalError")).storage(retry_seconds=60)
    storage.stop.set()
    with pytest.raises(S3Error, match=r"HTTP 500"):
        storage.ask(READ)


def test_a_connection_is_used_again():
    server = Server(answer(200, b"one"))
    storage, accepted = server.storage(), []
    connect = storage.line._connect
    storage.line._connect = lambda: accepted.append(1) or connect()
    for _turn in range(3):
        storage.ask(READ)
    look(storage, "a", checksum=False)
    storage.ask(READ)
    assert len(server.asked) == 5
    assert len(accepted) == 1


def test_an_answer_that_comes_before_the_body_has_been_sent_is_heard():
    server = Server(error(403, "AccessDenied"), reads_body=False)
    body = Body(64 << 20, "0" * 64, lambda: (b"x" * (1 << 20) for _block in range(64)))
    with pytest.raises(S3Error, match=r"may not write a|closed the connection|reset by peer|Broken pipe"):
        server.storage(retry_seconds=0.1, timeout_seconds=5).ask(Wish("write a", "PUT", "a", body=body))


def test_an_answer_that_drips_ends_in_time(monkeypatch):
    monkeypatch.setattr(_s3_connection, "SLOWEST_BYTES_PER_SECOND", 1 << 20)
    listener = socket.create_server(("127.0.0.1", 0))

    def drip():
        connection, _address = listener.accept()
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _byte in range(1000):
                connection.sendall(b"x")
                time.sleep(0.05)
        except OSError:
            return

    threading.Thread(target=drip, daemon=True).start()
    storage = Storage(
        Place("b", "AK", "sk", f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_seconds=0.4, retry_seconds=0)
    )
    began = time.monotonic()
    with pytest.raises(S3Error, match="not done within 0 s"):
        storage.ask(READ)
    assert time.monotonic() - began < 20


def test_who_hangs_up_late_does_not_hang_up_on_the_next_line(monkeypatch):
    closed, begun, hang_up = [], threading.Event(), _s3_connection._hang_up

    def late_hang_up(line, late):
        begun.set()
        time.sleep(0.3)  # long enough for the other thread to have closed the line, if it does not wait
        closed.append(line.fileno() < 0)
        hang_up(line, late)

    def send(*_):
        assert begun.wait(30)
        raise TimeoutError  # the limit of the line, at the moment when that of the exchange is over

    monkeypatch.setattr(_s3_connection, "_hang_up", late_hang_up)
    monkeypatch.setattr(_s3_connection.Line, "_send", send)
    with pytest.raises(S3Error):
        Server(60.0).storage(timeout_seconds=0.2, retry_seconds=0).ask(READ)
    assert closed == [False]


def test_a_broken_download_goes_on_where_it_broke():
    first = answer(200, b"0123", length=10, ETag='"t"', Connection="close")
    server = Server(first, answer(206, b"456789", Content_Range="bytes 4-9/10", ETag='"t"'))
    got = bytearray()
    read_object(server.storage(), "a", 10, got.extend)
    assert got == b"0123456789"
    assert "Range: bytes=4-" in server.asked[1]
    assert 'If-Match: "t"' in server.asked[1]


@pytest.mark.parametrize(
    ("second", "words"),
    [
        pytest.param(answer(200, b"0123456789"), "does not know ranges", id="from the beginning again"),
        pytest.param(error(412, "PreconditionFailed"), "HTTP 412", id="replaced meanwhile"),
    ],
)
def test_a_download_is_not_put_together_of_two_objects(second, words):
    server = Server(answer(200, b"0123", length=10, ETag='"t"', Connection="close"), second)
    with pytest.raises(S3Error, match=words):
        read_object(server.storage(), "a", 10, bytearray().extend)


def test_an_object_of_another_size_is_refused():
    with pytest.raises(S3Error, match="longer than the 3 bytes"):
        read_object(Server(answer(200, b"0123")).storage(), "a", 3, bytearray().extend)
    with pytest.raises(S3Error, match="ends after 4 of 9 bytes; tried 3 times"):
        short = Server(answer(200, b"0123"), answer(206, b"", Content_Range="bytes 4-8/9"))
        read_object(short.storage(), "a", 9, bytearray().extend)


def test_unfinished_uploads_are_told_oldest_first():
    upload = "<Upload><Key>{}</Key><UploadId>{}</UploadId><Initiated>2026-11-{}T10:00:00.000Z</Initiated></Upload>"
    body = upload.format("p/b&amp;c", "new", 21) + upload.format("p/a", "old", 20) + upload.format("q/x", "foreign", 10)
    found = list_unfinished(Server(answer(200, body.encode())).storage(), "p/")
    assert [(one.key, one.id) for one in found] == [("p/a", "old"), ("p/b&c", "new")]


def test_work_side_by_side_keeps_its_order_and_the_first_error_ends_it():
    storage = Server(answer(200)).storage()
    assert side_by_side(storage, 3, (lambda one=one: one * one for one in range(9))) == [n * n for n in range(9)]
    assert not storage.stop.is_set()

    def fail():
        raise S3Error("broken")

    with pytest.raises(S3Error, match="broken"):
        side_by_side(storage, 2, [fail, lambda: None, lambda: None])
    assert storage.stop.is_set()


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        pytest.param("ftp://x", "is not a URL", id="another protocol"),
        pytest.param("https://s3.example/bucket", "has a path", id="with the bucket in it"),
        pytest.param("https://k:s@s3.example", "is not a URL", id="with keys in it"),
    ],
)
def test_an_endpoint_is_only_a_server(endpoint, words):
    with pytest.raises(S3Error, match=words):
        Storage(Place("b", "AK", "sk", endpoint))


def test_without_an_endpoint_it_is_amazon():
    assert Storage(Place("b", "AK", "sk", region="eu-central-1")).line.named == "s3.eu-central-1.amazonaws.com"
