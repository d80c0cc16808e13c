# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that says which version it is: backend.py <port> <version>. /slow takes two seconds."""

import asyncio
import json
import sys

BODY = json.dumps({"version": sys.argv[2]}).encode()


async def answer(reader, writer):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(2 if head.startswith(b"GET /slow ") else 0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(BODY) + BODY)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


asyncio.run(main())
