# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine in one file that runs on a host without Ansible, and the lines of cron that it takes the place of. Private to this collection."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HOME = "ansible_collections.runbook.ops.plugins.module_utils"
IDLE = re.compile(r"\s*(?:#|\w+\s*=)")  # a line of a crontab that runs nothing
JOINT = re.compile(r"&&|\|\||[;|]|(?<![>&])&(?![>&\d])")  # what joins commands
AIDE = re.compile(r"(?:cd|\[|test|sleep|logger|tee|true|mail|echo|export|umask|chronic|ts)(?:\s|\Z)")
SCHEDULE = re.compile(r"\s*(?:@\w+|(?:\S+\s+){4}\S+)\s+")  # when a line of a crontab runs
WANTING = ("flock", "su", "runuser", "timeout")  # they want a file, an account or a time first
SHELLS = ("sh", "bash", "dash", "zsh")
WRAPPERS = ("env", "nice", "ionice", "chrt", "nohup", "setsid", "sudo", "chronic", "exec", "time", "systemd-cat")
INTERPRETERS = ("python", "python3", "node", "perl", "php", "ruby")
STARTERS = (*SHELLS, *WRAPPERS, *INTERPRETERS, *WANTING)
PLACE = re.compile(r"[\"']?[\w./~$-]*")  # the beginning of a program's word: a quote, its directory
LIB, ETC, UNITS = "usr/local/lib/runbook-ops", "etc/runbook-ops", "etc/systemd/system"


@dataclass(frozen=True)
class File:
    """A file with its content and its mode."""

    content: bytes
    mode: int


def main_program(start: str, name: str) -> str:
    """Return the source that runs ``main()`` of the module ``start``."""
    return f"""import sys

if sys.version_info < (3, 9):
    raise SystemExit("{name}: it needs Python 3.9 or newer")
from {start} import main

raise SystemExit(main(sys.argv[1:]))
"""


def needed_sources(read: Callable[[str], str | None], start: str) -> dict[str, str]:
    """Return the source of ``start`` and of all of ours that it imports, by dotted name.

    :param read: returns the source of a module, None where there is none of that name
    """
    found: dict[str, str] = {}
    left = [start]
    while left:
        name = left.pop()
        source = None if name in found or not name.startswith(f"{HOME}.") else read(name)
        if source is not None:
            found[name] = source
            left += _imports(source)
    return dict(sorted(found.items()))


def _imports(source: str) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def build_engine(sources: Mapping[str, str], main: str) -> bytes:
    """Return a file that Python runs, the same bytes for the same sources."""
    files = {"__main__.py": main}
    for name, source in sources.items():
        path = name.replace(".", "/")
        files[f"{path}.py"] = source
        parts = path.split("/")[:-1]
        files.update({f"{'/'.join(parts[: n + 1])}/__init__.py": "" for n in range(len(parts))})
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), files[path])
    return target.getvalue()


def version(content: bytes) -> str:
    """Return what tells one engine, or one configuration, from another."""
    return hashlib.sha256(content).hexdigest()[:16]


def as_json(content: Mapping[str, Any]) -> bytes:
    """Return ``content`` as it is written for an engine, the same bytes for the same content."""
    return (json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def has_users(path: str) -> bool:
    """Return whether each line of the crontab at ``path`` names the account that it runs as."""
    return path.startswith("etc/")


def retire(crontab: str, programs: Sequence[str], mark: str, *, users: bool) -> tuple[str, list[str]]:
    """Return ``crontab`` with the lines that run one of ``programs`` commented out by ``mark``, and those lines.

    A line that runs another program too stays: nobody would run that any more.

    :param users: whether each line names an account
    """
    lines, gone = [], []
    for line in crontab.splitlines(keepends=True):
        runs = runs_one(line, programs) and not runs_more(line, programs, users=users)
        lines.append(mark + line if runs else line)
        gone += [line.strip()] if runs else []
    return "".join(lines), gone


def runs_one(line: str, programs: Sequence[str]) -> bool:
    """Return whether a line of a crontab names one of ``programs``; a comment and a variable run nothing."""
    return not IDLE.match(line) and _first_of(line, programs) is not None


def runs_more(line: str, programs: Sequence[str], *, users: bool) -> bool:
    """Return whether a line that names one of ``programs`` does more than run it, prepare it, and read what it says.

    Another program that is given the name of ours, as ``rsync`` is, may do anything.
    """
    parts = [part.strip() for part in JOINT.split(line)]
    parts[0] = SCHEDULE.sub("", parts[0], count=1)
    if users:
        parts[0] = " ".join(parts[0].split(maxsplit=1)[1:])
    doing = [part for part in parts if part and not AIDE.match(part)]
    return not doing or not all(_runs(part, programs) for part in doing)


def _first_of(text: str, programs: Sequence[str]) -> int | None:
    """Return where the first of ``programs`` stands in ``text``."""
    found = (re.search(rf"(?<![\w.-]){re.escape(program)}(?![\w.-])", text) for program in programs)
    return min((met.start() for met in found if met), default=None)


def _runs(command: str, programs: Sequence[str]) -> bool:
    """Return whether ``command`` is one of ``programs``, or only starts it: by a shell, with a lock, as another account."""
    at = _first_of(command, programs)
    if at is None:
        return False
    before = command[:at]
    words = before.split()
    if before and not before[-1].isspace() and not PLACE.fullmatch(words.pop()):
        return False
    is_started = has_option = is_wanting = False
    for word in words:
        name = word.strip("\"'").rpartition("/")[2]
        if name in STARTERS:
            is_started, has_option, is_wanting = True, False, name in WANTING
        elif is_started and word[0] in "-0123456789":
            has_option = word[0] == "-" and not word.endswith("c")  # what follows -c is run
        elif has_option or is_wanting:  # its value, or what is wanted
            has_option, is_wanting = False, is_wanting and has_option
        elif not re.match(r"\w+=", word):
            return False
    return True


def reinstate(crontab: str, mark: str) -> tuple[str, list[str]]:
    """Return ``crontab`` with what :func:`retire` commented out as it was, and those lines."""
    lines = crontab.splitlines(keepends=True)
    back = [line[len(mark) :].strip() for line in lines if line.startswith(mark)]
    return "".join(line[len(mark) :] if line.startswith(mark) else line for line in lines), back


def retired(crontab: str, mark: str) -> list[str]:
    """Return the lines that are commented out by ``mark``."""
    return [line[len(mark) :] for line in crontab.splitlines() if line.startswith(mark)]
