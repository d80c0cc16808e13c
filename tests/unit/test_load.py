# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The users of the load tests: what servers do to them is told as it was, and nothing is lost."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RIGHT = b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"version": "1"} '
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("load", ROOT / "tests" / "load" / "load.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


load = _load()


def answering(*answers: bytes) -> Behaviour:
    """Return a server that gives these answers on each connection, one a request, and then closes it."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        writer.close()

    return behave


async def _silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take a WebSocket, send back one line, and say good-bye to the second."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    for answer in (b"\x81\x05hello", b"\x88\x02\x03\xe9"):
        await reader.readexactly(11)
        writer.write(answer)
    writer.close()


def ask(behave: Behaviour, kind: str = "keep", times: int = 1) -> list[tuple[str, bool]]:
    """Send requests of one kind, one after the other, and return outcome and whether it was retried."""

    async def run() -> list[tuple[str, bool]]:
        server = await asyncio.start_server(behave, "127.0.0.1", 0)
        users = load.Load(load.Server("127.0.0.1", server.sockets[0].getsockname()[1], timeout=0.5))
        for _time in range(times):
            await users._one(kind, 0.0)
        server.close()
        return [(one.outcome, one.retried) for one in users.samples]

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("behave", "outcome"),
    [
        pytest.param(answering(RIGHT), "ok", id="a right answer"),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
            "ok",
            id="an answer in chunks",
        ),
        pytest.param(answering(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"), "wrong", id="another status"),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\noops"), "wrong", id="a body that is no JSON"
        ),
        pytest.param(answering(b""), "reset", id="no answer on a new connection"),
        pytest.param(answering(RIGHT[:-5]), "reset", id="half of an answer"),
        pytest.param(_silent, "timeout", id="no answer in time"),
    ],
)
def test_what_became_of_a_request_is_told_as_it_was(behave: Behaviour, outcome: str) -> None:
    assert ask(behave) == [(outcome, False)]


@pytest.mark.parametrize(
    ("kind", "second"),
    [
        pytest.param(
            "keep",
            ("closed_idle", False),
            id="a client that never asks twice fails on a kept connection that was closed",
        ),
        pytest.param("retry", ("ok", True), id="one that does asks on a new connection"),
        pytest.param("fresh", ("ok", False), id="one that comes anew each time does not notice"),
    ],
)
def test_a_kept_connection_that_was_closed_is_told_apart(kind: str, second: tuple[str, bool]) -> None:
    assert ask(answering(RIGHT), kind, times=2) == [("ok", False), second]


def test_a_connection_that_the_server_ends_with_its_answer_is_not_asked_again() -> None:
    last = RIGHT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert ask(answering(last), "keep", times=3) == [("ok", False)] * 3


def test_an_answer_that_breaks_off_is_never_asked_for_again() -> None:
    assert ask(answering(RIGHT, RIGHT[:-5]), "retry", times=2) == [("ok", False), ("reset", False)]


def test_nobody_who_listens_is_a_refusal() -> None:
    async def run() -> list[str]:
        server = await asyncio.start_server(_silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        users = load.Load(load.Server("127.0.0.1", port))
        await users._one("fresh", 0.0)
        return [one.outcome for one in users.samples]

    assert asyncio.run(run()) == ["refused"]


def test_requests_are_sent_in_their_time_though_none_is_answered() -> None:
    async def run() -> Any:
        server = await asyncio.start_server(_silent, "127.0.0.1", 0)
        users = load.Load(load.Server("127.0.0.1", server.sockets[0].getsockname()[1], timeout=0.5))
        asking = asyncio.create_task(users.run(rate=50, connections=1, slow=0, slow_seconds=0, websockets=0))
        await asyncio.sleep(0.4)
        assert not users.samples
        users.over.set()
        await asking
        server.close()
        return users.samples

    samples = asyncio.run(run())
    assert len(samples) > 5
    assert {one.outcome for one in samples} == {"timeout"}


def test_a_websocket_that_is_told_to_go_is_no_websocket_that_was_cut_off() -> None:
    async def run() -> Any:
        server = await asyncio.start_server(_echoing, "127.0.0.1", 0)
        users = load.Load(load.Server("127.0.0.1", server.sockets[0].getsockname()[1]))
        asking = asyncio.create_task(users._socket())
        while not users.sockets["told_to_go"]:
            await asyncio.sleep(0.01)
        users.over.set()
        server.close()
        await asking
        return users.sockets

    sockets = asyncio.run(run())
    assert sockets["echoed"] >= 1
    assert not sockets["cut_off"]


def test_a_pong_is_found_behind_what_the_server_tells_by_itself() -> None:
    async def tells(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frame = await reader.readexactly(11)
        assert frame[0] == 0x89
        writer.write(b"\x81\x07welcome\x81\x02hi\x8a\x05hello")

    async def run() -> bool:
        server = await asyncio.start_server(tells, "127.0.0.1", 0)
        users = load.Server("127.0.0.1", server.sockets[0].getsockname()[1], ping=True)
        connection = await users.connect()
        came_back = await load.echo(connection, ping=True)
        connection.close()
        server.close()
        return bool(came_back)

    assert asyncio.run(run())


def test_failures_are_told_with_their_time_of_day_so_that_a_log_can_be_read_beside_them() -> None:
    samples = [
        load.Sample("keep", 10.0, 10.1, "ok", "1.0.0"),
        load.Sample("fresh", 10.5, 12.0, "wrong", why="wrong: 502"),
        load.Sample("slow", 11.0, 11.0, "refused", why="refused: nobody listens"),
    ]
    assert load.failures(samples, 1000.0, most=1) == [{"at": 1010.5, "took": 1.5, "kind": "fresh", "why": "wrong: 502"}]


def test_an_account_holds_all_requests_and_the_longest_time_without_a_right_answer() -> None:
    told = load.account(
        [
            load.Sample("keep", 10.0, 10.1, "ok", "1.0.0"),
            load.Sample("keep", 10.2, 10.2, "closed_idle"),
            load.Sample("fresh", 10.3, 12.3, "wrong"),
            load.Sample("retry", 13.0, 13.4, "ok", "1.1.0", retried=True),
            load.Sample("slow", 10.0, 12.0, "ok", "1.0.0"),
            load.Sample("keep", 13.9, 15.0, "ok", "1.1.0"),
        ],
        began=10.0,
        ended=14.0,
    )
    assert (told["requests"], told["failed"], told["closed_idle"], told["retried"]) == (6, 2, 1, 1)
    assert told["gap"] == 3.3  # a slow answer tells nothing of the time before it, and one after the end is no gap
    assert told["versions"] == {
        "1.0.0": {"answers": 1, "first": 0.1, "last": 0.1},
        "1.1.0": {"answers": 2, "first": 3.4, "last": 5.0},
    }
    assert told["kinds"]["fresh"]["outcomes"] == {"wrong": 1}
    assert "6 requests in 4.0 s, 2 failed (1 of them" in load.summary(told)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 0.2), (0.95, 0.4), (1.0, 0.4), (0.0, 0.1)])
def test_a_percentile_is_a_time_that_was_measured(share: float, expected: float) -> None:
    assert load.percentile([0.1, 0.2, 0.3, 0.4], share) == expected
    assert load.percentile([], share) is None
