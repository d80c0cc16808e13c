# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the records of a directory, write reports into another, and let go of old ones. Private to this collection."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._lock_file import HeldError, take
from ansible_collections.runbook.ops.plugins.module_utils._report_gather import Gathered
from ansible_collections.runbook.ops.plugins.module_utils._report_records import (
    RecordError,
    check_name,
    choose_names,
    first_runs,
    parse_record,
    to_come,
)
from ansible_collections.runbook.ops.plugins.module_utils._small_file import open_new, sync_directory

WAIT_SECONDS = 120.0  # a mail server that is slow takes ten at each step
MOST_BYTES = 64 * 1024 * 1024
NAMES = {"week": r"\d{4}-W\d\d", "month": r"\d{4}-\d\d", "quarter": r"\d{4}-Q\d", "year": r"\d{4}"}


class BusyError(Exception):
    """Another run writes reports; the message says what to do."""


@contextmanager
def alone(directory: Path, group: int | None) -> Iterator[None]:
    """Hold the directory of reports, which is made where it is missing: a file is written, and a summary sent, by one run at a time.

    :raises BusyError: another run holds it, and goes on.
    """
    if not directory.is_dir():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if group is not None:
            os.chown(directory, -1, group)
            directory.chmod(0o750)
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            handle = take(directory / ".lock")
            break
        except HeldError as exc:
            if time.monotonic() > deadline:
                raise BusyError(
                    f"{exc} has been writing reports into {directory} for {WAIT_SECONDS:g} s: see whether it hangs, and run this again"
                ) from None
            time.sleep(0.1)
    try:
        yield
    finally:
        os.close(handle)


def read_records(directory: Path, gathered: Gathered, *, now: float) -> None:
    """Take in all records that a report needs; what is damaged is named and left out.

    :param now: of what time no record can be yet
    :raises OSError: the directory cannot be read.
    """
    try:
        names = [entry.name for entry in os.scandir(directory)]
    except FileNotFoundError:
        names = []  # nothing has run yet
    gathered.first.update({(playbook, None): at for playbook, at in first_runs(names).items()})
    chosen, strange = choose_names(names, since=gathered.since, until=gathered.latest)
    for name in strange:
        gathered.skip(name, "not named like a record")
    for name in to_come(names, now):
        gathered.skip(name, "of a time that is still to come: the clock of its controller was wrong")
    for name in chosen:
        try:
            gathered.add(read_record(directory / name))
        except FileNotFoundError:
            continue  # removed meanwhile
        except RecordError as exc:
            gathered.skip(name, str(exc))
        except OSError as exc:
            gathered.skip(name, exc.strerror or str(exc))


def read_record(path: Path) -> dict[str, Any]:
    """Return the record.

    :raises RecordError: it cannot be used.
    :raises OSError: it cannot be read.
    """
    record = parse_record(_content(path))
    check_name(path.name, record)
    return record


def _content(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise RecordError("larger than 64 MB")
    return content


def stem(system: str, name: str) -> str:
    """Return how the files of a report are called, without their ends."""
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', system).lstrip('.') or 'system'}-{name}"


def differing(directory: Path, contents: Mapping[str, bytes]) -> list[str]:
    """Return the names of those files that are not there with these contents."""
    return [name for name, content in contents.items() if _present(directory / name) != content]


def _present(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write_files(directory: Path, contents: Mapping[str, bytes], *, group: int | None = None) -> None:
    """Replace the files together: all are on the disk before the first gets its name.

    :raises OSError: they could not be written; those of before are still there.
    """
    partial = {name: directory / f".{name}.partial" for name in contents}
    try:
        for name, content in contents.items():
            handle = open_new(partial[name], 0o600)
            with os.fdopen(handle, "wb") as file:
                if group is not None:
                    os.fchown(handle, -1, group)
                os.fchmod(handle, 0o600 if group is None else 0o640)
                file.write(content)
                file.flush()
                os.fsync(handle)
        for name, aside in partial.items():
            aside.replace(directory / name)
    finally:
        for aside in partial.values():
            with suppress(OSError):
                aside.unlink()
    sync_directory(directory)


def closed_to(group: int, directory: Path, names: Sequence[str]) -> list[Path]:
    """Return what of the directory and its files ``names`` is there, and is not the group's to read."""
    found = []
    for path in (directory, *(directory / name for name in names)):
        with suppress(FileNotFoundError):
            has = path.stat()
            if (has.st_gid, has.st_mode & 0o777) != (group, 0o750 if path == directory else 0o640):
                found.append(path)
    return found


def blocked_above(directory: Path, group: int) -> Path | None:
    """Return the directory above where the group cannot pass it to get to the reports."""
    above = directory.parent
    if not above.is_dir():
        return None
    has = above.stat()
    return None if has.st_mode & (0o010 if has.st_gid == group else 0o001) else above


def is_ours_alone(above: Path) -> bool:
    """Return whether ``above`` is what this collection keeps its own in, and nothing in it is any group's yet."""
    return above.name == "runbook-ops" and not above.stat().st_mode & 0o070


def let_read(group: int, directory: Path, names: Sequence[str]) -> None:
    """Give the group what it needs to get to the files and read them, whoever made the directories and them before."""
    for path in closed_to(group, directory, names):
        os.chown(path, -1, group)
        path.chmod(0o750 if path == directory else 0o640)
    above = blocked_above(directory, group)
    if above and is_ours_alone(above):  # to pass, not to see what else is there
        os.chown(above, -1, group)
        above.chmod(above.stat().st_mode & 0o777 | 0o010)


def outdated(directory: Path, system: str, keep: int, *, new: str) -> list[str]:
    """Return the files of reports beyond the ``keep`` newest of each kind of period, ``new`` among them."""
    gone: list[str] = []
    with suppress(FileNotFoundError):
        names = sorted({*(entry.name for entry in os.scandir(directory)), f"{new}.html"})
        for pattern in NAMES.values():
            own = re.compile(rf"({re.escape(stem(system, ''))}{pattern})\.(?:html|md|json)")
            found = [(met[1], name) for name in names if (met := own.fullmatch(name))]
            old = sorted({report for report, _name in found}, reverse=True)[keep:]
            gone += [name for report, name in found if report in old]
    return gone
