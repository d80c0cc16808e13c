# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MongoDB's documents, its login, and one connection with a server that speaks as it does."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._bson import BsonError, decode, encode
from ansible_collections.runbook.ops.plugins.module_utils._mongo import Mongo, MongoDownError, MongoRefusedError
from ansible_collections.runbook.ops.plugins.module_utils._scram import Client, ScramError


def test_a_document_is_the_bytes_of_the_specification() -> None:
    # The example of https://bsonspec.org/faq.html
    assert encode({"hello": "world"}) == b"\x16\0\0\0\x02hello\0\x06\0\0\0world\0\0"


def test_what_is_written_is_read_again() -> None:
    document = {
        "a": 1,
        "b": 1 << 40,
        "c": 1.5,
        "d": True,
        "e": None,
        "f": "ö",
        "g": b"\0x",
        "h": {"i": [1, "2"]},
        "j": -1,
    }
    assert decode(encode(document)) == document


def test_kinds_that_only_servers_write_are_read() -> None:
    body = b"".join(
        [
            b"\x07_id\0" + bytes(range(12)),
            b"\x09at\0" + struct.pack("<q", 1500),
            b"\x11ts\0" + struct.pack("<Q", (7 << 32) | 1),
            b"\x0bre\0^a\0i\0",
            b"\xffmin\0",
        ]
    )
    found = decode(struct.pack("<i", len(body) + 5) + body + b"\0")
    assert found == {"_id": "000102030405060708090a0b", "at": 1.5, "ts": 7, "re": "^a", "min": None}


@pytest.mark.parametrize(
    "data",
    [b"", b"\x05\0\0\0", b"\xff\0\0\0\0", encode({"a": 1})[:-2] + b"\0", encode({}) + b"x", b"\x08\0\0\0\x20a\0\0"],
)
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(BsonError):
        decode(data)


def test_a_value_that_no_command_needs_is_refused() -> None:
    with pytest.raises(BsonError, match="when is of type complex"):
        encode({"when": 1j})


def test_the_login_is_that_of_rfc_7677() -> None:
    client = Client("user", "pencil", "rOprNGfwEbeRWgbNEkqO")
    assert client.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert client.final(challenge).endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    with pytest.raises(ScramError, match="does not prove"):
        client.verify(b"v=AAAA")


@pytest.mark.parametrize(
    "challenge",
    [
        pytest.param(b"s=AA==,i=4096", id="without a nonce"),
        pytest.param(b"r=other,s=AA==,i=4096", id="of another exchange"),
        pytest.param(b"r=mine,s=AA==,i=4096", id="the nonce as it was"),
        pytest.param(b"r=minetheirs,s=AA==,i=1", id="cheap to guess"),
        pytest.param(b"r=minetheirs,s=AA==,i=x", id="no number"),
    ],
)
def test_a_challenge_that_does_not_fit_gets_no_proof(challenge: bytes) -> None:
    with pytest.raises(ScramError):
        Client("user", "secret", "mine").final(challenge)


def message(document: dict[str, Any], *, kind: int = 2013) -> bytes:
    body = struct.pack("<iB", 0, 0) + encode(document)
    return struct.pack("<iiii", len(body) + 16, 1, 1, kind) + body


def serve(answer: bytes) -> int:
    """Answer one message with ``answer`` and close; return the port."""
    server = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        connection, _address = server.accept()
        with connection, server:
            connection.recv(65536)
            connection.sendall(answer)

    threading.Thread(target=run, daemon=True).start()
    return int(server.getsockname()[1])


def test_an_answer_is_a_document() -> None:
    with Mongo("127.0.0.1", serve(message({"ok": 1, "setName": "rs0"})), timeout_seconds=20) as server:
        assert server.command("admin", "hello")["setName"] == "rs0"


def test_a_refusal_is_one_line_with_its_name() -> None:
    refusal = message({"ok": 0, "errmsg": "not authorized\non admin", "codeName": "Unauthorized"})
    with (
        Mongo("127.0.0.1", serve(refusal), timeout_seconds=20) as server,
        pytest.raises(MongoRefusedError, match=r"^not authorized$"),
    ):
        server.command("admin", "serverStatus")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(b"", "closed the connection", id="nothing"),
        pytest.param(message({"ok": 1})[:20], "closed the connection", id="a part"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak MongoDB", id="something else"),
        pytest.param(struct.pack("<iiii", 26, 1, 1, 2013) + b"\0" * 10, "not a document", id="no document"),
    ],
)
def test_an_answer_without_sense_is_a_server_that_does_not_serve(answer: bytes, words: str) -> None:
    with (
        Mongo("127.0.0.1", serve(answer), timeout_seconds=20) as server,
        pytest.raises(MongoDownError, match=words),
    ):
        server.command("admin", "hello")


def test_nobody_there_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(MongoDownError, match=f"127.0.0.1:{port}: Connection refused"):
        Mongo("127.0.0.1", port, timeout_seconds=20)
