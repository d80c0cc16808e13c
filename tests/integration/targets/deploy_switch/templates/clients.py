# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that keep their connections, and never ask twice: clients.py <port> <connections> <file that ends it>.

Each asks, waits a moment, and asks again on the same connection. Any answer but a whole 200 is a failure. It prints one JSON object.
"""

import asyncio
import json
import pathlib
import random
import sys
import time

PORT, COUNT, END = int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
found = {"requests": 0, "failed": 0, "closed_idle": 0, "why": [], "blue": 0, "green": 0, "slowest": 0.0}


async def one(reader, writer):
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 200"):
        raise OSError(head.partition(b"\r\n")[0].decode())
    found[json.loads(body)["version"]] += 1


async def client(number):
    reader = writer = None
    while not END.exists():
        if number % 4 == 0 and writer:  # a quarter of them comes anew each time
            writer.close()
            writer = None
        if writer is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        elif reader.at_eof():
            found["closed_idle"] += 1
        began = time.monotonic()
        found["requests"] += 1
        try:
            await one(reader, writer)
        except (OSError, EOFError) as exc:
            found["failed"] += 1
            found["why"] = [*found["why"], f"{type(exc).__name__}: {exc}"][-5:]
            writer.close()
            writer = None
        found["slowest"] = max(found["slowest"], time.monotonic() - began)
        await asyncio.sleep(random.uniform(0.05, 0.4))


async def main():
    await asyncio.gather(*(client(number) for number in range(COUNT)))
    print(json.dumps(found))


asyncio.run(main())
