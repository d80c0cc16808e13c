# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories as something that can be restored. Private to this collection."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._file_extract import extract, sync_file_system
from ansible_collections.runbook.ops.plugins.module_utils._file_stream import describe_trees
from ansible_collections.runbook.ops.plugins.module_utils._file_tree import clean_roots, compare, is_below, matcher
from ansible_collections.runbook.ops.plugins.module_utils._path_swap import identify, make_item
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError
from ansible_collections.runbook.ops.plugins.module_utils._store_payload import read_payload
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

MOUNTS = Path("/proc/self/mounts")


class FileRestore:
    """Some paths of a backup, each restored beside the live one."""

    kind = "files"

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.name = params["name"]
        self._params = params

    def asked(self) -> dict[str, Any]:
        paths = clean_roots(self._params["paths"]) if self._params["paths"] else []
        return {"paths": sorted(paths), "carry_excluded": self._params["carry_excluded"]}

    def plan(self, backup: Backup, stamp: str) -> dict[str, Any]:
        host, here = backup.manifest["host"], socket.gethostname()
        expected = self._params["from_host"] or here
        if host != expected:
            raise StoreError(
                f"{backup.path} was made on the host {host}, not on {expected}: take another, or set from_host to {host}"
            )
        roots = backup.manifest["content"]["roots"]
        paths = clean_roots(self._params["paths"] or list(roots))
        for path in paths:
            if not any(is_below(path, root) for root in roots):
                raise StoreError(f"{path} is not in {backup.name}: it holds {', '.join(roots)}")
            if not Path(path).parent.is_dir():
                raise StoreError(f"{Path(path).parent} is not there: make it first, with the owner that it should have")
            mounts = [one for one in mount_points(MOUNTS.read_text(errors="surrogateescape")) if is_below(one, path)]
            if mounts:
                raise StoreError(
                    f"{mounts[0]} is a mount point and would not be exchanged: restore other paths, one by one"
                )
            if is_below(str(backup.path.resolve()), path):
                raise StoreError(f"{backup.path} lies in {path}, which is replaced: move it elsewhere first")
        part = [path for path in paths if path not in roots]
        needed = sum(roots[root]["bytes"] for root in roots if any(is_below(path, root) for path in paths))
        self._refuse_full(paths, needed)
        lines = [
            *(f"replaces     {path}, kept as {make_item(path, stamp)['before']}" for path in paths),
            *([f"saved on     {host}, this is {here}"] if host != here else []),
            *(f"not compared {path} as a whole, for it is a part of what was saved" for path in part),
        ]
        return {"items": [make_item(path, stamp) for path in paths], "lines": lines, "whole": not part}

    def _refuse_full(self, paths: Sequence[str], needed: int) -> None:
        disk = os.statvfs(Path(paths[0]).parent)
        free = disk.f_bavail * disk.f_frsize - disk.f_blocks * disk.f_frsize * self._params["min_free_percent"] / 100
        if free < needed:
            raise StoreError(
                f"no room beside {paths[0]}: it needs {human_size(needed)}, {human_size(max(free, 0))} can be had; make room, "
                "or lower min_free_percent"
            )

    def prepare(self, backup: Backup, entry: Mapping[str, Any]) -> None:
        wanted = {item["live"]: item["new"] for item in entry["items"]}
        read_payload(
            backup,
            lambda pieces: extract(pieces, wanted),
            identity=self._params["identity"],
            timeout_seconds=self._params["timeout_seconds"],
        )
        reached("file_restore:extracted")
        content = backup.manifest["content"]
        whole = {path: place for path, place in wanted.items() if path in content["roots"]}
        expected = {path: content["roots"][path] for path in whole}
        differences = compare(expected, describe_trees(whole))
        if differences:
            raise StoreError(f"what was restored is not what was saved: {'; '.join(differences)}; nothing was replaced")
        if self._params["carry_excluded"]:
            is_excluded = matcher(content["exclude"])
            for path, place in wanted.items():
                root = next(one for one in content["roots"] if is_below(path, one))
                if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
                    _carry(path, place, lambda inner, base=root: is_excluded(base, inner[len(base) + 1 :]))
        for place in wanted.values():
            sync_file_system(place)

    def close(self, entry: Mapping[str, Any]) -> None:
        """Do nothing: who has files open is the caller's business."""

    def open(self, entry: Mapping[str, Any], *, restored: bool) -> None:
        """Make sure that each path holds what was restored.

        :raises StoreError: one does not.
        """
        lost = [item["live"] for item in entry["items"] if restored and identify(item["live"]) != item["new_id"]]
        if lost:
            raise StoreError(f"{lost[0]} is not what was restored: somebody has replaced it")


def mount_points(mounts: str) -> list[str]:
    """Return where file systems are mounted, by what the kernel tells."""
    places = (line.split(" ")[1] for line in mounts.splitlines() if line.count(" ") > 1)
    return [place.replace("\\040", " ") for place in places]


def _carry(live: str, new: str, is_excluded: Any) -> None:
    """Give ``new`` further names of the files that were never saved and are still in ``live``."""
    for place, directories, files in os.walk(live):
        beside = new + place[len(live) :]
        for name in (*directories, *files):
            if is_excluded(f"{place}/{name}") and os.path.isdir(beside) and identify(f"{beside}/{name}") is None:  # noqa: PTH112
                _link(f"{place}/{name}", f"{beside}/{name}")
        directories[:] = [name for name in directories if not is_excluded(f"{place}/{name}")]


def _link(source: str, target: str) -> None:
    """Give ``target`` further names of what is in ``source``. What was not saved is what comes and goes: what is gone meanwhile is."""
    with suppress(FileNotFoundError, NotADirectoryError):
        found = os.lstat(source)
        if stat.S_ISDIR(found.st_mode):
            names = os.listdir(source)  # noqa: PTH208
            os.mkdir(target)  # noqa: PTH102
            for name in names:
                _link(f"{source}/{name}", f"{target}/{name}")
            os.chown(target, found.st_uid, found.st_gid)
            os.chmod(target, stat.S_IMODE(found.st_mode))  # noqa: PTH101
        elif not stat.S_ISSOCK(found.st_mode):
            os.link(source, target, follow_symlinks=False)
