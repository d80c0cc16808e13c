# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx's access logs tell of the answers that users got. Private to this collection."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils._log_files import find_start
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import Directive, walk

DEFAULT = "/var/log/nginx/access.log"  # Debian's, where the configuration names none
MOST_BYTES = 8 << 20  # at one look: some 40 000 lines
STATUS = re.compile(rb'(?:" |"status": ?"?)([1-5]\d\d)\b')
SECONDS = re.compile(rb"(?:\brt|request_time)[\"=: ]{1,4}([0-9]+\.[0-9]+)")
OURS = b"runbook.ops"  # how our own requests call themselves


class Seen:
    """Answers that logs tell of."""

    def __init__(self) -> None:
        self.count = self.failed = 0
        self.times: list[float] = []

    def add(self, line: bytes) -> None:
        status = STATUS.search(line)
        if status is None or OURS in line:
            return
        self.count += 1
        self.failed += int(status[1]) >= 500
        took = SECONDS.search(line)
        if took:
            self.times.append(float(took[1]))


class Log:
    """One log, from a place in it on; one that is rotated meanwhile goes on in the new file."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._inode = self._offset = 0
        self._rest = b""

    def begin(self) -> None:
        """Begin at its end."""
        with suppress(OSError):
            found = self._path.stat()
            self._inode, self._offset = found.st_ino, found.st_size

    def read_since(self, seconds: float, seen: Seen) -> None:
        """Add what was written in the last ``seconds``."""
        now = time.time()
        with suppress(OSError), self._path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            start = find_start(file, end, now - seconds, now)
            if start is not None:
                file.seek(max(start, end - MOST_BYTES))
                for line in file.read(MOST_BYTES).splitlines():
                    seen.add(line)

    def read_new(self, seen: Seen) -> None:
        """Add what was written since the last time."""
        with suppress(OSError), self._path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_ino != self._inode or found.st_size < self._offset:
                self._inode, self._offset, self._rest = found.st_ino, 0, b""
            file.seek(self._offset)
            text = file.read(MOST_BYTES)
            self._offset += len(text)
            *lines, self._rest = (self._rest + text).split(b"\n")
            for line in lines:
                seen.add(line)


def logs_of(directives: list[Directive], servers: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the access logs of the blocks that pass requests to one of ``servers``, upstreams or addresses.

    Apart from them come those in which other sites write as well: whose a line is cannot be seen there.
    """
    wanted = {*servers}
    for block, _above in walk(directives):  # the upstream may bear another name
        if block.name.text == "upstream" and any(
            inner.name.text == "server" and inner.texts() and inner.texts()[0] in wanted for inner in block.block
        ):
            wanted.update(block.texts())
    ours: dict[str, None] = {}
    others: dict[int, set[str]] = {}  # by site
    sites: set[int] = set()  # that pass something to this service
    for directive, above in walk(directives):
        if not directive.name.text.endswith("_pass") or not directive.arguments:
            continue
        if any(block.name.text == "stream" for block in above):  # that has no access log unless it names one
            continue
        passed, logs = directive.texts()[0], _applies(above)
        site = next((id(block) for block in above if block.name.text == "server"), 0)
        if directive.name.text == "proxy_pass" and urlsplit(passed).netloc in wanted:
            sites.add(site)
            ours.update(dict.fromkeys(logs))
        else:
            others.setdefault(site, set()).update(logs)
    foreign = {log for site, logs in others.items() if site not in sites for log in logs}
    return tuple(log for log in ours if log not in foreign), tuple(log for log in ours if log in foreign)


def _applies(above: tuple[Directive, ...]) -> list[str]:
    for block in reversed(above):
        named = [inner.texts()[0] for inner in block.block if inner.name.text == "access_log" and inner.arguments]
        if named:
            return [path for path in named if path.startswith("/")]  # not off, and not syslog:
    return [DEFAULT]
