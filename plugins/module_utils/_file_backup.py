# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories as something that can be backed up. Private to this collection."""

from __future__ import annotations

import os
import platform
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._file_stream import FileStream
from ansible_collections.runbook.ops.plugins.module_utils._file_tree import clean_roots, matcher
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError

MARGIN = 1.2  # more than the last backup needed, for as many bytes


class FileStore:
    """Some paths of this host."""

    kind, payload = "files", "files.tar"

    def __init__(self, name: str, paths: list[str], exclude: list[str], *, directory: str) -> None:
        """Prepare to read.

        :param directory: where the backups are: it is never a part of one
        :raises TreeError: a path cannot be meant.
        """
        self.name, self._roots, self._exclude = name, clean_roots(paths), exclude
        self._is_excluded = matcher(exclude)
        self._directory = Path(directory).resolve()
        self._stream = self._make_stream()

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> FileStore:
        return cls(options["set"], options["paths"], options.get("exclude") or [], directory=options["directory"])

    def _make_stream(self) -> FileStream:
        roots = [(root, root) for root in self._roots]
        return FileStream(roots, is_excluded=self._is_excluded, avoid=str(self._directory))

    def look(self, last: Backup | None) -> int:
        total = 0
        for root in self._roots:
            try:
                kind = os.lstat(root).st_mode
            except FileNotFoundError:
                raise StoreError(f"{root} is not there: correct paths, or leave it out") from None
            if stat.S_ISLNK(kind):
                raise StoreError(f"{root} is a link to {os.path.realpath(root)}: name that instead")
            total += self._size(root)
        before = sum(one["bytes"] for one in last.manifest["content"]["roots"].values()) if last else 0
        if last and before:
            return round(last.manifest["size"] * max(1.0, total / before) * MARGIN)
        return total

    def _size(self, root: str) -> int:
        if not os.path.isdir(root):  # noqa: PTH112
            return os.lstat(root).st_size
        total = 0
        for place, directories, files in os.walk(root):
            if Path(place).resolve() == self._directory:
                directories[:] = []
                continue
            below = "" if place == root else f"{place[len(root) + 1 :]}/"
            directories[:] = [name for name in directories if not self._is_excluded(root, below + name)]
            for name in files:
                try:
                    total += 0 if self._is_excluded(root, below + name) else os.lstat(f"{place}/{name}").st_size
                except FileNotFoundError:
                    continue
        return total

    def pieces(self) -> Iterable[bytes]:
        self._stream = self._make_stream()
        return self._readable(self._stream.pieces())

    @staticmethod
    def _readable(pieces: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from pieces
        except OSError as exc:
            raise StoreError(
                f"cannot read {exc.filename or 'a file'} ({exc.strerror}): exclude it, or let this account read it"
            ) from exc

    def content(self) -> dict[str, Any]:
        return {**self._stream.content(), "exclude": self._exclude}

    def tools(self) -> dict[str, str]:
        return {"python": platform.python_version()}

    def lines(self, content: Mapping[str, Any]) -> list[str]:
        return [
            f"{root}: {one['files']} files, {one['directories']} directories, {one['links']} links, {one['bytes']} bytes, "
            f"content {one['sha256'][:12]}"
            for root, one in (content.get("roots") or {}).items()
        ]
