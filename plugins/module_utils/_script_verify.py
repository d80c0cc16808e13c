# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read again what a script has backed up: does it hold what its checksums say, or is it at least whole. Private to this collection.

A directory says what it holds in ``manifest.json`` (``checksums``) or ``SHA256SUMS``, a file in one beside it such as
``dump.sql.gz.sha256``. Without one a compressed file is read to its end, and a dump must say that it is complete. Nothing is written.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import MANIFEST, SUMS, SetError, parse_sums
from ansible_collections.runbook.ops.plugins.module_utils._backup_verify_plan import DAMAGED, SECTION
from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._dated_names import NAME, parse_stamp, read_dates
from ansible_collections.runbook.ops.plugins.module_utils._payload import read_copy
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

BLOCK = 1 << 20
KINDS = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}  # by the length of what they write
HEX = re.compile(r"(?:[a-z0-9]+:)?([0-9a-fA-F]+)\Z")
COMPLETE = re.compile(rb"-- (PostgreSQL database( cluster)? dump complete|Dump completed)")
FUTURE = timedelta(days=1)  # names may be in UTC and the clock in local time, or the other way round


class Read(NamedTuple):
    """One backup that was read again."""

    path: Path
    taken_at: datetime  # as its name says, in the host's time
    size: int
    problems: list[str]
    proof: str | None  # how it is known to be whole; None: nothing tells


def verify(directory: Path, pattern: str, *, newest: int, max_age: float | None, now: datetime) -> dict[str, Any]:
    """Return the result of the module for what a script has made.

    :param now: in the host's own time, without a zone, as the names have none
    :raises SetError: the directory cannot be read.
    """
    try:
        names = {entry.name for entry in directory.iterdir()}
    except OSError as exc:
        raise SetError(f"cannot read {directory} ({exc.strerror}): correct directory") from exc
    dated = read_dates(names, pattern=pattern)
    chosen = [key for key in dated.backups if (parse_stamp(key[:14]) or now) <= now + FUTURE][-newest:]
    reads = [read(directory / key[NAME], parse_stamp(key[:14]) or now, names) for key in chosen]
    checks = judge(reads, f"{directory}/{pattern}", now=now, max_age=max_age)
    return {
        **{"changed": False, "actions": [], "changes": [], "diff": {"before": "", "after": ""}},
        "backups": [_told(one) for one in reads],
        "bytes_read": sum(one.size for one in reads),
        "problems": [f"{one['name']}: {one['detail']}" for one in checks if one["status"] == "critical"],
        "checks": checks,
    }


def read(path: Path, taken_at: datetime, beside: set[str]) -> Read:
    """Return what reading one backup again has found."""
    try:
        if stat.S_ISDIR(path.lstat().st_mode):
            size, problems, proof = _directory(path)
        else:
            size, problems, proof = _file(path, beside)
    except OSError as exc:
        size, problems, proof = 0, [f"{exc.filename or path} cannot be read ({exc.strerror or exc})"], None
    return Read(path, taken_at, size, problems, proof)


def _directory(path: Path) -> tuple[int, list[str], str | None]:
    sums = sums_of(path)
    if sums is None:
        return 0, [], None
    size, problems = 0, []
    for relative, said in sorted(sums.items()):
        if not (path / relative).is_file() or (path / relative).is_symlink():
            problems.append(f"{relative} is missing")
            continue
        found, length = digest(path / relative, said)
        size += length
        problems += [] if found else [f"{relative} is damaged: its checksum is another"]
    return size, problems, "by its checksums"


def sums_of(path: Path) -> dict[str, str] | None:
    """Return the checksums by path that a directory tells; None where it tells none, or none that can be compared."""
    if read_copy(path) is None:
        return None
    try:
        described = path / MANIFEST
        is_json = described.is_file()
        told = (
            json.loads(described.read_bytes())["checksums"] if is_json else parse_sums((path / SUMS).read_bytes(), SUMS)
        )
    except (ValueError, KeyError, TypeError, SetError):
        return None
    sums = {}
    for name, said in told.items():
        text = said.get("sha256") if isinstance(said, Mapping) else said
        match = HEX.match(str(text))
        if match is None or len(match[1]) not in KINDS:
            return None
        sums[name[2:] if name.startswith("./") else name] = match[1].lower()
    return sums


def digest(path: Path, said: str) -> tuple[bool, int]:
    """Return whether a file has the checksum ``said``, and its bytes."""
    one, size = hashlib.new(KINDS[len(said)], usedforsecurity=False), 0
    for block in _blocks(path):
        one.update(block)
        size += len(block)
    return one.hexdigest() == said, size


def _file(path: Path, beside: set[str]) -> tuple[int, list[str], str | None]:
    size = path.stat().st_size
    if not size:
        return 0, ["it is empty"], None
    for kind in KINDS.values():
        if f"{path.name}.{kind}" in beside:
            words = (path.parent / f"{path.name}.{kind}").read_text(encoding="utf-8", errors="replace").split()
            if not words or len(words[0]) not in KINDS:
                return 0, [f"{path.name}.{kind} holds no checksum"], None
            found, _length = digest(path, words[0].lower())
            return size, [] if found else ["it is damaged: its checksum is another"], "by its checksum"
    if path.suffix == ".gz":
        return size, *_unpacked(path)
    if path.suffix == ".sql":
        return size, *_ended(_tail(path))
    return 0, [], None


def _unpacked(path: Path) -> tuple[list[str], str | None]:
    """Return what is wrong with a compressed file, and how it is known to be whole."""
    tail = b""
    try:
        with gzip.open(path, "rb") as file:
            while block := file.read(BLOCK):
                tail = (tail + block)[-4096:]
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        return [f"it is damaged or cut off ({exc})"], None
    return _ended(tail) if path.name.endswith(".sql.gz") else ([], "read to its end")


def _ended(tail: bytes) -> tuple[list[str], str | None]:
    if COMPLETE.search(tail):
        return [], "it says that it is complete"
    return ["it does not end as a dump does: it was cut off"], None


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return file.read()


def _blocks(path: Path) -> Iterator[bytes]:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb", buffering=0) as file:
        while block := file.read(BLOCK):
            yield block


def judge(reads: list[Read], where: str, *, now: datetime, max_age: float | None) -> list[dict[str, Any]]:
    """Return one check for the newest whole one, and one for each that is damaged, or of which nothing tells."""
    about: dict[str, Any] = {"name": f"Newest whole backup {where}", "section": SECTION, "unit": "s"}
    whole = [one for one in reads if one.proof and not one.problems]
    if whole:
        age = (now - whole[-1].taken_at).total_seconds()
        status, limit = judge_high(age, None, max_age)
        detail = f"{whole[-1].path.name}, {human_duration(max(0, round(age)))} old, known {whole[-1].proof}; {len(whole)} of {len(reads)} read are whole"
        about.update(status=status, value=round(age), limit=limit, detail=detail)
    else:
        detail = f"none of {len(reads)} read is known to be whole" if reads else "there is none"
        # Where nothing says what they hold, they may be good: nobody knows.
        about.update(status="critical" if not reads or any(one.problems for one in reads) else "warning", detail=detail)
    remedy = "read why the script that makes them has not; let the collection make them (made_by: collection)"
    checks = [make_check(f"backup_verify:{where}", status=about.pop("status"), remedy=remedy, **about)]
    for one in reads:
        if one.problems:
            detail = "; ".join(one.problems[:5])
            checks.append(_one(one, status="critical", detail=detail, remedy=DAMAGED))
    return checks


def _one(one: Read, *, status: str, **told: Any) -> dict[str, Any]:
    name = f"Backup {one.path.name}"
    return make_check(f"backup_verify:{one.path.name}", name=name, section=SECTION, status=status, **told)


def _told(one: Read) -> dict[str, Any]:
    return {
        **{"name": one.path.name, "path": str(one.path), "kind": "script", "taken_at": one.taken_at.isoformat()},
        **{"identity": None, "size": one.size, "verified": bool(one.proof) and not one.problems, "proven": False},
        **{"checked_at": None, "drill": None, "problems": one.problems},
    }
