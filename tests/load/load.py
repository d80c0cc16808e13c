# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of an HTTP application, and an honest account of what became of their requests.

``python3 load.py 127.0.0.1:8080 --rate 100 --slow 2 --websockets 5 --end /tmp/end`` asks until the file is there and prints one JSON object.
Standard library only: it is copied to the host that it asks on.

Requests are sent at their time, whether or not earlier ones were answered (otherwise an outage would be one late request), and their times
count from when they were due. A third of them comes from each of:

``keep``   connections that are kept, and never ask twice
``retry``  the same, but what was sent on a kept connection that turned out to be closed is sent once more, as browsers do
``fresh``  a new connection each

Beside them: requests that take seconds, each on a new connection, and WebSockets that send a line now and then and want it back.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import math
import os
import ssl
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

KINDS = ("keep", "retry", "fresh")
TIMEOUT = 20.0
REQUEST = "GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"


class Failed(Exception):  # noqa: N818  # an outcome, as `Closed` is
    """No right answer: ``how`` is refused, reset, timeout or wrong."""

    def __init__(self, how: str, why: object = "") -> None:
        super().__init__(f"{how}: {why}")
        self.how = how


class Closed(Failed):
    """The server closed a kept connection before the first byte of an answer: HTTP lets clients ask again."""

    def __init__(self) -> None:
        super().__init__("closed_idle", "a kept connection was closed")


class Sample(NamedTuple):
    """What became of one request."""

    kind: str
    due: float
    done: float
    outcome: str  # ok, or as Failed.how
    version: str | None = None
    retried: bool = False
    why: str = ""


class Connection(NamedTuple):
    """One connection to the application."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def close(self) -> None:
        self.writer.transport.abort()

    @property
    def closed(self) -> bool:
        return self.writer.transport.is_closing()


class Server(NamedTuple):
    """Where the application is, and how its answers are read."""

    address: str
    port: int
    host: str = "localhost"
    path: str = "/api/v1/version"
    timeout: float = TIMEOUT
    socket: str = "/api/v1/socket"
    tls: ssl.SSLContext | None = None
    ping: bool = False  # instead of a line, where others hear that one

    async def connect(self) -> Connection:
        name = self.host if self.tls else None
        try:
            return Connection(
                *await asyncio.open_connection(self.address, self.port, ssl=self.tls, server_hostname=name)
            )
        except OSError as exc:
            raise Failed("refused", exc) from exc

    async def ask(self, connection: Connection, path: str, *, kept: bool = False) -> str | None:
        """Ask once and return the version that the answer tells, or raise Failed; a connection that the server ends with it is closed."""
        connection.writer.write(REQUEST.format(path=path, host=self.host, more="").encode())
        try:
            first = await connection.reader.read(1)
        except OSError:
            first = b""
        if not first:
            raise Closed() if kept else Failed("reset", "no answer")
        try:
            status, headers, body = await read_answer(connection.reader, first)
        except (OSError, EOFError, ValueError) as exc:
            raise Failed("reset", exc) from exc
        if (
            headers.get("connection", "").lower() == "close"
        ):  # as nginx says with the 1000th answer: nobody may ask there again
            connection.close()
        return version_in(status, body)


async def read_answer(reader: asyncio.StreamReader, first: bytes) -> tuple[int, dict[str, str], bytes]:
    head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _colon, value in (line.partition(":") for line in head[1:])}
    status = int(head[0].split()[1])
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return status, headers, body


def version_in(status: int, body: bytes) -> str | None:
    """Return the version in a right answer, or raise Failed."""
    if status != 200:
        raise Failed("wrong", status)
    try:
        answer = json.loads(body)
    except ValueError as exc:
        raise Failed("wrong", exc) from exc
    return answer.get("version") if isinstance(answer, dict) else None


class Load:
    """All users together."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.samples: list[Sample] = []
        self.why: Counter[str] = Counter()
        self.kept: dict[str, deque[Connection]] = {"keep": deque(), "retry": deque()}
        self.sockets: Counter[str] = Counter()
        self.began = self.ended = time.monotonic()
        self.sent = 0  # at the steady rate
        self.over = asyncio.Event()

    async def run(self, *, rate: float, connections: int, slow: int, slow_seconds: float, websockets: int) -> None:
        """Ask until ``over`` is set, and wait for what is under way."""
        for kept in self.kept.values():
            kept.extend([await self.server.connect() for _number in range(connections)])
        others = [self._slow(slow_seconds) for _number in range(slow)] + [
            self._socket() for _number in range(websockets)
        ]
        tasks = [asyncio.create_task(other) for other in others]
        self.began = time.monotonic()
        while not self.over.is_set():
            due = self.began + self.sent / rate
            await self._until(due)
            if not self.over.is_set():
                tasks.append(asyncio.create_task(self._one(KINDS[self.sent % len(KINDS)], due)))
                self.sent += 1
        self.ended = time.monotonic()
        await asyncio.gather(*tasks)
        for kept in self.kept.values():
            for connection in kept:
                connection.close()

    async def _until(self, moment: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), max(0.0, moment - time.monotonic()))

    async def _one(self, kind: str, due: float) -> None:
        kept = self.kept.get(kind)
        connection = kept.popleft() if kept else None
        retried = False
        try:
            try:
                version, connection = await self._answered(connection, self.server.path)
            except Closed:
                if kind != "retry":
                    raise
                retried = True
                version, connection = await self._answered(None, self.server.path)
        except Failed as exc:
            self._note(kind, due, exc, retried=retried)
            return
        self.samples.append(Sample(kind, due, time.monotonic(), "ok", version, retried))
        if kept is None:
            connection.close()
        elif not connection.closed:
            kept.append(connection)

    async def _answered(self, connection: Connection | None, path: str) -> tuple[str | None, Connection]:
        """Ask on the connection, or on a new one; it is closed where that fails."""
        new = connection is None
        try:
            async with asyncio.timeout(self.server.timeout):
                connection = connection or await self.server.connect()
                return await self.server.ask(connection, path, kept=not new), connection
        except TimeoutError:
            failed: Failed = Failed("timeout", f"{self.server.timeout} s")
        except Failed as exc:
            failed = exc
        if connection:
            connection.close()
        raise failed

    def _note(self, kind: str, due: float, failed: Failed, *, retried: bool = False) -> None:
        why = str(failed)[:160]
        self.samples.append(Sample(kind, due, time.monotonic(), failed.how, None, retried, why))
        self.why[why] += 1

    async def _slow(self, seconds: float) -> None:
        while not self.over.is_set():
            due = time.monotonic()
            try:
                version, connection = await self._answered(None, f"/api/v1/slow?seconds={seconds}")
            except Failed as exc:
                self._note("slow", due, exc)
                await self._until(time.monotonic() + 0.1)
            else:
                self.samples.append(Sample("slow", due, time.monotonic(), "ok", version))
                connection.close()

    async def _socket(self) -> None:
        """Keep a WebSocket; count lines that came back, and how it ended: told to go, or cut off."""
        while not self.over.is_set():
            connection = None
            try:
                async with asyncio.timeout(self.server.timeout):
                    connection = await self._upgraded()
                self.sockets["opened"] += 1
                while not self.over.is_set():
                    async with asyncio.timeout(self.server.timeout):
                        told = await echo(connection, ping=self.server.ping)
                    self.sockets["echoed" if told else "told_to_go"] += 1
                    if not told:
                        break
                    await self._until(time.monotonic() + 0.2)
            except (Failed, OSError, EOFError, ValueError, TimeoutError):
                self.sockets["cut_off" if connection else "not_opened"] += 1
                await self._until(time.monotonic() + 0.1)
            finally:
                if connection:
                    connection.close()

    async def _upgraded(self) -> Connection:
        connection = await self.server.connect()
        more = UPGRADE.format(key=base64.b64encode(os.urandom(16)).decode())
        connection.writer.write(REQUEST.format(path=self.server.socket, host=self.server.host, more=more).encode())
        head = await connection.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            connection.close()
            raise Failed("wrong", head.split(b"\r\n")[0].decode("latin-1"))
        return connection


async def echo(connection: Connection, *, ping: bool = False) -> bool:
    """Send a line over a WebSocket. True: it came back. False: the server said that it goes. Otherwise an exception.

    :param ping: every server sends it back, whatever else it tells
    """
    line, mask = b"hello", os.urandom(4)
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(line))
    connection.writer.write(bytes([0x89 if ping else 0x81, 0x80 | len(line)]) + mask + masked)
    kind, length = await connection.reader.readexactly(2)
    body = await connection.reader.readexactly(length & 0x7F)
    while ping and kind == 0x81:  # what it tells
        kind, length = await connection.reader.readexactly(2)
        body = await connection.reader.readexactly(length & 0x7F)
    if kind == 0x88:
        return False
    if body != line:
        raise ValueError("another line came back")
    return True


def account(samples: Sequence[Sample], began: float, ended: float) -> dict[str, object]:
    """Return figures of all requests that were sent until the end, and of each kind. A failure is all that is not a right answer."""
    kinds = {kind: [one for one in samples if one.kind == kind] for kind in sorted({one.kind for one in samples})}
    steady = [one for one in samples if one.kind in KINDS]
    return {
        "seconds": round(ended - began, 3),
        **figures(samples),
        **times(steady),  # slow ones take as long as they are asked to
        "gap": longest_gap(steady, began, ended),
        "versions": versions(steady, began),
        "kinds": {kind: figures(some) for kind, some in kinds.items()},
    }


def figures(samples: Sequence[Sample]) -> dict[str, object]:
    outcomes = Counter(one.outcome for one in samples)
    return {
        "requests": len(samples),
        "failed": len(samples) - outcomes["ok"],
        "closed_idle": outcomes["closed_idle"],
        "outcomes": dict(sorted(outcomes.items())),
        "retried": sum(one.retried for one in samples),
        **times(samples),
    }


def times(samples: Sequence[Sample]) -> dict[str, float | None]:
    """Return percentiles of the time of right answers."""
    taken = sorted(one.done - one.due for one in samples if one.outcome == "ok")
    return {
        name: percentile(taken, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }


def percentile(taken: Sequence[float], share: float) -> float | None:
    """Return the time within which this share of sorted times lies."""
    return round(taken[max(0, math.ceil(len(taken) * share) - 1)], 4) if taken else None


def longest_gap(samples: Sequence[Sample], began: float, ended: float) -> float:
    """Return the longest time without a right answer, also before the first and after the last one."""
    moments = [began, *sorted(one.done for one in samples if one.outcome == "ok" and one.done < ended), ended]
    return round(max(later - earlier for earlier, later in zip(moments, moments[1:])), 3)


def versions(samples: Sequence[Sample], began: float) -> dict[str, dict[str, float]]:
    """Return how often and from when to when each version answered."""
    found: dict[str, dict[str, float]] = {}
    for one in sorted(samples, key=lambda one: one.done):
        if one.version is not None:
            at = round(one.done - began, 3)
            seen = found.setdefault(one.version, {"answers": 0, "first": at, "last": at})
            seen["answers"] += 1
            seen["last"] = at
    return found


def failures(samples: Sequence[Sample], clock: float, most: int = 200) -> list[dict[str, object]]:
    """Return when which requests failed, the first ones: what logs say of that time tells why.

    :param clock: the time of day when the clock of the samples was 0
    """
    failed = [one for one in samples if one.outcome != "ok"][:most]
    return [
        {"at": round(one.due + clock, 3), "took": round(one.done - one.due, 3), "kind": one.kind, "why": one.why}
        for one in failed
    ]


def summary(told: dict[str, object]) -> str:
    return (
        f"{told['requests']} requests in {told['seconds']} s, {told['failed']} failed ({told['closed_idle']} of them on idle connections that "
        f"were closed), longest gap {told['gap']} s, p95 {told['p95']} s, max {told['max']} s, {len(told['versions'])} versions"  # type: ignore[arg-type]
    )


async def ask_until(options: argparse.Namespace) -> dict[str, object]:
    address, _colon, port = options.server.rpartition(":")
    tls = ssl._create_unverified_context() if options.tls else None  # noqa: S323  # the server is a test's own
    server = Server(address, int(port), options.host, options.path, options.timeout, options.socket, tls, options.ping)
    load = Load(server)

    async def end() -> None:
        limit = time.monotonic() + options.seconds
        while time.monotonic() < limit and not (options.end and options.end.exists() and load.sent >= options.requests):
            await asyncio.sleep(0.05)
        load.over.set()

    ending = asyncio.create_task(end())
    await load.run(
        rate=options.rate,
        connections=options.connections,
        slow=options.slow,
        slow_seconds=options.slow_seconds,
        websockets=options.websockets,
    )
    await ending
    told = account(load.samples, load.began, load.ended)
    clock = time.time() - time.monotonic()
    return {
        **told,
        "began_at": round(load.began + clock, 3),
        "websockets": dict(load.sockets),
        "why": dict(load.why.most_common(5)),
        "failures": failures(load.samples, clock),
        "load": os.getloadavg()[0],
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", help="address:port")
    parser.add_argument("--host", default="localhost", help="name to ask for")
    parser.add_argument(
        "--path", default="/api/v1/version", help="what is asked for: JSON whose key `version` is told apart"
    )
    parser.add_argument("--rate", type=float, default=100, help="requests a second, all kinds together")
    parser.add_argument(
        "--connections", type=int, default=20, help="kept connections of each kind that keeps them, at least"
    )
    parser.add_argument("--slow", type=int, default=0, help="users who send slow requests")
    parser.add_argument("--slow-seconds", type=float, default=5, help="how long those take")
    parser.add_argument("--websockets", type=int, default=0)
    parser.add_argument("--socket", default=Server._field_defaults["socket"], help="path of the WebSockets")
    parser.add_argument("--ping", action="store_true", help="have WebSockets answer a ping instead of a line")
    parser.add_argument("--tls", action="store_true", help="over TLS, whatever certificate there is")
    parser.add_argument("--timeout", type=float, default=TIMEOUT, help="seconds after which an answer does not count")
    parser.add_argument("--seconds", type=float, default=600, help="the longest time to ask")
    parser.add_argument("--end", type=Path, help="a file that ends it")
    parser.add_argument("--requests", type=int, default=0, help="how many are sent at least, whatever the file says")
    told = asyncio.run(ask_until(parser.parse_args(argv)))
    print(json.dumps(told))
    print(summary(told), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
