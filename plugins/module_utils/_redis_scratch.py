# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Redis server of our own that loads a dump, is reached by nobody else, and ends with us. Private to this collection."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import Stage, spawn
from ansible_collections.runbook.ops.plugins.module_utils._rdb import read_rdb
from ansible_collections.runbook.ops.plugins.module_utils._redis import (
    RedisDownError,
    RedisRefusedError,
    Refusal,
    Server,
    ask,
)
from ansible_collections.runbook.ops.plugins.module_utils._redis_starter import starter
from ansible_collections.runbook.ops.plugins.module_utils._redis_sync import fetch_rdb
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError, one_line
from ansible_collections.runbook.ops.plugins.module_utils._store_payload import read_payload
from ansible_collections.runbook.ops.plugins.module_utils._tap import Tap
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

DUMP = "dump.rdb"
FEWEST = 16  # databases, as every server has by default
MEMORY = Path("/proc/meminfo")
ROOM = 1.2  # memory that a server needs for what took 1 in the other one


def unpack_dump(
    backup: Backup, target: Path, *, identity: str | None = None, timeout_seconds: float = 3600
) -> dict[str, Any]:
    """Write the dump that ``backup`` holds to ``target``, and return what is in it.

    :raises RdbError: it is damaged.
    :raises StoreError: it cannot be written.
    """

    def write(pieces: Iterator[bytes]) -> Any:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            tap = Tap(pieces, read_rdb)
            for piece in tap:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        return tap.result

    try:
        content: dict[str, Any] = read_payload(backup, write, identity=identity, timeout_seconds=timeout_seconds)
    except OSError as exc:
        raise StoreError(f"cannot write the dump: {one_line(OSError(exc.errno, exc.strerror, str(target)))}") from exc
    return content


class ScratchRedis:
    """A server on the dump in ``directory``. Use it with ``with``."""

    def __init__(self, directory: Path, content: Mapping[str, Any], *, timeout_seconds: float = 600) -> None:
        """Prepare to start it.

        :raises StoreError: no server is installed, or there is too little memory.
        """
        self._directory, self._timeout_seconds = directory, timeout_seconds
        self._start = starter(directory, content.get("image"))
        needed, free = round((content.get("used_memory_bytes") or 0) * ROOM), free_memory(MEMORY.read_text())
        if needed > free:
            raise StoreError(f"trying the dump takes {human_size(needed)} of memory, {human_size(free)} are free")
        self._databases = max([FEWEST, *(int(number) + 1 for number in content["databases"])])
        self._process: subprocess.Popen[bytes] | None = None
        self._handle = -1

    @property
    def server(self) -> Server:
        # The name of a socket may not be long, that of the directory may be.
        return Server(socket_path=f"/proc/self/fd/{self._handle}/socket")

    def __enter__(self) -> ScratchRedis:
        self._handle = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        options = {
            "dir": self._start.directory,
            "port": "0",
            "unixsocket": "socket",
            "unixsocketperm": "700",
            "logfile": "log",
            "dbfilename": DUMP,
            "databases": str(self._databases),
            "save": "",
            "appendonly": "no",
            "repl-diskless-sync": "yes",
            "repl-diskless-sync-delay": "0",
        }
        arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
        try:
            self._process = spawn(
                Stage([*self._start.argv, *arguments]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self._wait(self._process)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._start.clean_up()
        os.close(self._handle)

    def content(self) -> dict[str, Any]:
        """Return what the server holds: what it would save."""
        return read_rdb(fetch_rdb(self.server, timeout_seconds=self._timeout_seconds))

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._timeout_seconds
        while time.monotonic() < deadline:
            if process.poll() is not None:
                log = self._directory / "log"
                said = last_words(log.read_text(errors="replace") if log.exists() else "")
                raise StoreError(f"a Redis server that was to load the dump ended: {said}")
            try:
                (answer,) = ask(self.server, [("PING",)], timeout_seconds=5)
                if not isinstance(answer, Refusal):  # else it is still loading
                    return
            except (RedisDownError, RedisRefusedError):
                pass
            time.sleep(0.05)
        raise StoreError(f"a Redis server has not loaded the dump within {self._timeout_seconds:g} s")


def last_words(log: str) -> str:
    """Return the last line of a log of Redis that is a warning, else the last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    warnings = [line.partition(" # ")[2] for line in lines if " # " in line]
    return (warnings or lines or ["it said nothing"])[-1]


def free_memory(meminfo: str) -> int:
    """Return the bytes of memory that can be had, by what the kernel tells."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
