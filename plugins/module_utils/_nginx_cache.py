# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the answers that nginx has kept out of its cache, while it serves. Private to this collection.

What nginx keeps is named by a checksum of its key; what it is writing at this moment has another name, and so has anything else.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import Directive, NginxError, walk

KEPT = re.compile(r"[0-9a-f]{32}\Z")
DIRECTIVES = ("proxy_cache_path", "fastcgi_cache_path", "uwsgi_cache_path", "scgi_cache_path")
DEEPEST = 3  # more levels nginx does not know


class Found(NamedTuple):
    """What nginx keeps in one cache."""

    files: int
    size_bytes: int


def cache_of(directives: list[Directive], directory: str) -> str:
    """Return the cache of a configuration that lies in ``directory``, as that names it.

    :raises NginxError: there is none.
    """
    known = [one.arguments[0].text for one, _above in walk(directives) if one.name.text in DIRECTIVES and one.arguments]
    for path in known:
        if os.path.normpath(path) == os.path.normpath(directory):
            return path
    raise NginxError(f"nginx has no cache in {directory}: it has {', '.join(known) or 'none'}")


def look(directory: str) -> Found:
    """Return how much is kept."""
    sizes = [size for _path, size in _kept(Path(directory))]
    return Found(len(sizes), sum(sizes))


def empty(directory: str) -> Found:
    """Delete what is kept, and return how much it was. What somebody else deletes meanwhile does not count."""
    files = size_bytes = 0
    for path, size in _kept(Path(directory)):
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        files, size_bytes = files + 1, size_bytes + size
    return Found(files, size_bytes)


def _kept(directory: Path, depth: int = 0) -> Iterator[tuple[Path, int]]:
    """Yield the files of the cache; no link is followed."""
    try:
        entries = sorted(directory.iterdir())
    except FileNotFoundError:
        return
    for entry in entries:
        try:
            status = entry.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(status.st_mode) and depth < DEEPEST:
            yield from _kept(entry, depth + 1)
        elif stat.S_ISREG(status.st_mode) and KEPT.match(entry.name):
            yield entry, status.st_size
