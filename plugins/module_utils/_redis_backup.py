# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Redis server as something that can be backed up. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, find
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._rdb import read_rdb
from ansible_collections.runbook.ops.plugins.module_utils._redis import (
    RedisDownError,
    RedisRefusedError,
    Server,
    ask,
    number,
    parse_info,
)
from ansible_collections.runbook.ops.plugins.module_utils._redis_server import SERVER_OPTIONS, find_server
from ansible_collections.runbook.ops.plugins.module_utils._redis_sync import fetch_rdb
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError
from ansible_collections.runbook.ops.plugins.module_utils._tap import Tap

ANSWER_SECONDS = 10.0
MARGIN = 1.2  # more than the last backup needed, for the same memory


class RedisStore:
    """One server with all its databases."""

    kind, payload = "redis", "dump.rdb"

    def __init__(self, name: str, server: Server, *, image: str | None = None, timeout_seconds: float = 3600) -> None:
        self._timeout_seconds = timeout_seconds
        self.name, self._server, self._image = name, server, image
        self._used = 0
        self._append_only = False
        self._content: dict[str, Any] = {}

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RedisStore:
        """Return the server that the options of the module name.

        :raises StoreError: Docker does not tell where its container is.
        """
        contained = {key: options.get(key) for key in ("project", "service", "container")}
        try:
            image = find(**contained).image if options.get("service") or options.get("container") else None
            return cls(
                options["name"], server_of(options), image=image, timeout_seconds=options.get("timeout_seconds") or 3600
            )
        except (ProbeError, DockerError, OSError) as exc:
            raise StoreError(f"cannot find Redis {options['name']}: {exc}; see what runs: docker ps -a") from exc

    def look(self, last: Backup | None) -> int:
        info = look_at(self._server)
        if info.get("loading") == "1":
            raise StoreError(f"{self._server.place} is still loading its data: wait until it serves")
        self._used = number(info, "used_memory_dataset") or number(info, "used_memory") or 0
        self._append_only = info.get("aof_enabled") == "1"
        before = last.manifest["content"].get("used_memory_bytes") if last else None
        if last and before:
            return round(last.manifest["size"] * max(1.0, self._used / before) * MARGIN)
        return self._used

    def pieces(self) -> Iterable[bytes]:
        tap = Tap(fetch_rdb(self._server, timeout_seconds=self._timeout_seconds), read_rdb)
        return self._noted(tap)

    def _noted(self, tap: Tap) -> Iterator[bytes]:
        yield from tap
        self._content = tap.result

    def content(self) -> dict[str, Any]:
        return {
            **self._content,
            "used_memory_bytes": self._used,
            "append_only": self._append_only,
            "image": self._image,
        }

    def tools(self) -> dict[str, str]:
        return {"redis": self._content.get("server_version") or "unknown"}

    def lines(self, content: Mapping[str, Any]) -> list[str]:
        if not content:
            return []
        counts = [
            f"database {number}: {one['keys'] - one['expiring']} keys, and {one['expiring']} that expire"
            for number, one in content["databases"].items()
        ]
        return [*counts, f"libraries of functions: {content['functions']}", f"Redis {content['server_version']}"]


def server_of(options: Mapping[str, Any]) -> Server:
    """Return where the server is that ``options`` tell of.

    :raises ProbeError: Docker does not tell.
    """
    known = {key: option.default for key, option in SERVER_OPTIONS.items()}
    return find_server({**known, **{key: options[key] for key in known if options.get(key) is not None}})


def look_at(server: Server) -> dict[str, str]:
    """Return what the server says of itself.

    :raises StoreError: it does not serve, or not us.
    """
    try:
        (answer,) = ask(server, [("INFO",)], timeout_seconds=ANSWER_SECONDS)
    except (RedisDownError, RedisRefusedError) as exc:
        raise StoreError(f"{server.place} does not answer: {exc}; correct host, port, user or password") from exc
    if not isinstance(answer, str):
        raise StoreError(f"{server.place} does not tell of itself: {answer.text}; give the account +info")
    return parse_info(answer)
