# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what a host itself calls a secret, so that it can be taken out wherever it shows. Private to this collection.

Read into memory only: from the environments and arguments of processes, and from files of variables.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ansible_collections.runbook.ops.plugins.module_utils._redact import secrets_in

PROC = Path("/proc")
MOST_BYTES = 256 * 1024
ASSIGNED = re.compile(r"(?m)^\s*(?:export\s+)?[\"']?([A-Za-z_][\w.-]*)[\"']?\s*[=:]\s*(.+?),?\s*$")
ARGUMENT = re.compile(r"--?([\w-]+)(?:=(.+))?", re.DOTALL)
FILES = (".env", ".env.*", "*.env", "ecosystem.config.*js", ".pgpass", ".npmrc", "docker-compose*.yml", "compose*.y*ml")


def find_secrets(directories: Iterable[str], *, timeout_seconds: float = 4.0) -> set[str]:
    """Return the values that processes, and files of variables in ``directories``, call secrets."""
    end = time.monotonic() + timeout_seconds
    found: set[str] = set()
    for pairs in (_processes(), _files(directories)):
        for name, value in pairs:
            found.update(secrets_in(name, value))
            if time.monotonic() > end:
                return found
    return found


def _processes() -> Iterator[tuple[str, str]]:
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            for pair in _read(entry / "environ").split("\0"):
                name, _equals, value = pair.partition("=")
                yield name, value
            yield from pairs_of_arguments(_read(entry / "cmdline").split("\0"))


def pairs_of_arguments(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """Yield option and value of a command line, and NAME=value where it stands alone."""
    for argument, after in zip(arguments, [*arguments[1:], ""]):
        met = ARGUMENT.fullmatch(argument)
        if met and (met[2] is not None or not after.startswith("-")):
            yield met[1], met[2] if met[2] is not None else after
        elif "=" in argument:
            yield argument.partition("=")[0], argument.partition("=")[2]
        elif "://" in argument:
            yield "url", argument


def _files(directories: Iterable[str]) -> Iterator[tuple[str, str]]:
    for directory in directories:
        for pattern in FILES:
            with contextlib.suppress(OSError):
                for path in sorted(Path(directory).glob(pattern))[:20]:
                    yield from pairs_of_text(_read(path))


def pairs_of_text(text: str) -> Iterator[tuple[str, str]]:
    """Yield names and values of a file of variables, whether .env, YAML or JavaScript."""
    for name, value in ASSIGNED.findall(text):
        bare = value.strip().rstrip(",")
        quoted = bare[:1] in ("'", '"') and bare[-1:] == bare[:1]
        yield name, bare[1:-1] if quoted else re.sub(r"\s+#.*", "", bare)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
