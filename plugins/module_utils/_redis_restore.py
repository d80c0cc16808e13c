# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Redis server as something that can be restored. Private to this collection.

With an append-only log Redis reads that on its start and never looks at the dump, so the dump becomes the base of a new log.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup, sync_directory
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._path_swap import identify, make_item
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._rdb import compare
from ansible_collections.runbook.ops.plugins.module_utils._redis import RedisDownError, Server, number
from ansible_collections.runbook.ops.plugins.module_utils._redis_backup import look_at, server_of
from ansible_collections.runbook.ops.plugins.module_utils._redis_host import (
    Service,
    container_of,
    read_layout,
    saves_when_stopped,
)
from ansible_collections.runbook.ops.plugins.module_utils._redis_scratch import DUMP, ScratchRedis, unpack_dump
from ansible_collections.runbook.ops.plugins.module_utils._scratch import scratch_directory
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

COPIES = 3  # of the dump: the one that is tried, the new dump, and the base of a log
PATIENCE_SECONDS = 0.2
QUIET_SECONDS = 30.0  # without an answer, whatever timeout_seconds is


class RedisRestore:
    """One server of this host."""

    kind = "redis"

    def __init__(self, params: Mapping[str, Any], *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.name = params["name"]
        self._params, self._sleep = params, sleep

    def asked(self) -> dict[str, Any]:
        return {}

    def plan(self, backup: Backup, stamp: str) -> dict[str, Any]:
        saved_as, expected = backup.manifest.get("database"), self._params["from_name"] or self.name
        if saved_as != expected:
            raise StoreError(
                f"{backup.path} is a backup of the Redis server {saved_as}, not of {expected}: take another, or set from_name to "
                f"{saved_as}"
            )
        container = container_of(self._params)
        service = Service(self._params["unit"], container, self._params["timeout_seconds"])
        server = self._reach(container)
        layout = read_layout(server, self._params, container)
        kept = self._refuse_forgetful(server)
        content = backup.manifest["content"]
        self._refuse_full(layout.directory, content["size_bytes"])
        items = [make_item(layout.dump, stamp)]
        if layout.log:
            items.append({**make_item(layout.log, stamp), "log_name": layout.log_name})
        saved = sum(one["keys"] for one in content["databases"].values())
        lines = [
            f"target       Redis {self.name}, {service.title}, which stops and starts again",
            f"keys         {saved} were saved, {_keys_now(server)}",
            *(f"replaces     {item['live']}, kept as {item['before']}" for item in items),
            *kept,
            *([f"saved as     {saved_as}, this is {self.name}"] if saved_as != self.name else []),
        ]
        told = {"unit": service.unit, "container": service.container, "keys": saved}
        return {"items": items, "lines": lines, **told}

    def _reach(self, container: str | None) -> Server | None:
        """Return where the server is; None where its container has no address, as one that is stopped."""
        try:
            return server_of({**self._params, "service": None, "container": container})
        except ProbeError:
            return None

    def _refuse_forgetful(self, server: Server | None) -> list[str]:
        """Return what is to be said of whether the live server writes what it holds when it is stopped: else nothing could be kept.

        :raises StoreError: it does not.
        """
        try:
            saves = server is None or saves_when_stopped(server)
        except RedisDownError:
            return []
        if saves is False:
            raise StoreError(
                f"Redis {self.name} writes nothing when it stops (no save, no append-only log), so that nothing of what is live "
                "could be kept: CONFIG SET save '3600 1', and shutdown-on-sigterm default where that is set, then run this again"
            )
        return (
            []
            if saves
            else ["kept         whether what it holds is written when it stops is not known: CONFIG GET is refused"]
        )

    def _refuse_full(self, directory: str, size: int) -> None:
        disk = os.statvfs(directory)
        free = disk.f_bavail * disk.f_frsize - disk.f_blocks * disk.f_frsize * self._params["min_free_percent"] / 100
        if free < COPIES * size:
            raise StoreError(
                f"no room in {directory}: it needs {human_size(COPIES * size)}, {human_size(max(free, 0))} can be had; make "
                "room, or lower min_free_percent"
            )

    def prepare(self, backup: Backup, entry: Mapping[str, Any]) -> None:
        limit = self._params["timeout_seconds"]
        content = backup.manifest["content"]
        live = Path(entry["items"][0]["live"])
        with scratch_directory(live.parent, "redis", needed=0) as scratch:
            read = unpack_dump(backup, scratch / DUMP, identity=self._params["identity"], timeout_seconds=limit)
            differences = compare(content, read)
            if self._params["try_it"] and not differences:
                with ScratchRedis(scratch, content, timeout_seconds=limit) as server:
                    differences = compare(content, server.content())
            if differences:
                raise StoreError(f"the dump is not what was saved: {'; '.join(differences)}; nothing was replaced")
            reached("redis_restore:tried")
            for item in entry["items"]:
                _write_new(scratch / DUMP, item)

    def close(self, entry: Mapping[str, Any]) -> None:
        self._service(entry).stop()

    def open(self, entry: Mapping[str, Any], *, restored: bool) -> None:
        """Start the server, and see that it has loaded what it should.

        :raises StoreError: it has not.
        """
        self._service(entry).start()
        reached("redis_restore:started")
        info = self._served(entry)
        loaded, expired = number(info, "rdb_last_load_keys_loaded"), number(info, "rdb_last_load_keys_expired")
        if restored and loaded is not None and loaded + (expired or 0) != entry["keys"]:
            raise StoreError(f"Redis {self.name} has loaded {loaded + (expired or 0)} keys instead of {entry['keys']}")

    def _served(self, entry: Mapping[str, Any]) -> dict[str, str]:
        """Return what the server says of itself once it serves. Loading may take long; saying nothing may not.

        :raises StoreError: it does not serve.
        """
        end = time.monotonic() + self._params["timeout_seconds"]
        quiet_end = time.monotonic() + QUIET_SECONDS
        while True:
            try:
                # A container may have another address than before.
                info = look_at(server_of({**self._params, "service": None, "container": entry["container"]}))
                if info.get("loading") != "1":
                    return info
                reason, quiet_end = "it is still loading", time.monotonic() + QUIET_SECONDS
            except (StoreError, ProbeError) as exc:
                reason = str(exc)
            if time.monotonic() > min(end, quiet_end):
                raise StoreError(f"Redis {self.name} does not serve after its start: {reason}")
            self._sleep(PATIENCE_SECONDS)

    def _service(self, entry: Mapping[str, Any]) -> Service:
        return Service(entry["unit"], entry["container"], self._params["timeout_seconds"])


def _keys_now(server: Server | None) -> str:
    if server is None:
        return "how many there are now is not known: it does not run"
    try:
        info = look_at(server)
    except StoreError as exc:
        return f"how many there are now is not known: {exc}"
    counts = [
        keys[1] for key, value in info.items() if key.startswith("db") and (keys := re.match(r"keys=(\d+)", value))
    ]
    return f"{sum(map(int, counts))} are there now"


def _write_new(dump: Path, item: Mapping[str, Any]) -> None:
    """Write what is to replace the live dump, or the live log, with its owner and mode."""
    new, live = Path(item["new"]), Path(item["live"])
    like = live if identify(item["live"]) else live.parent
    name = item.get("log_name")
    if name is None:
        _copy(dump, new, like, mode=0o660)
    else:
        new.mkdir(mode=0o700)
        base = f"{name}.1.base.rdb"
        _copy(dump, new / base, like, mode=0o660)
        manifest = new / f"{name}.manifest"
        manifest.write_text(f"file {base} seq 1 type b\n")
        _own(manifest, like, mode=0o660)
        _own(new, like, mode=0o750)
        sync_directory(new)
    sync_directory(new.parent)


def _copy(source: Path, target: Path, like: Path, *, mode: int) -> None:
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with source.open("rb") as read, os.fdopen(handle, "wb") as written:
        shutil.copyfileobj(read, written, 1 << 20)
        written.flush()
        os.fsync(written.fileno())
    _own(target, like, mode=mode)


def _own(path: Path, like: Path, *, mode: int) -> None:
    """Give ``path`` the owner of ``like``, and no more rights for others than ``mode``."""
    found = like.stat()
    os.chown(path, found.st_uid, found.st_gid)
    path.chmod(found.st_mode & mode | (0o700 if path.is_dir() else 0o600))
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
