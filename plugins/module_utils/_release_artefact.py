# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpack an archive whose SHA-256 is known, and nothing of it outside of one directory. Private to this collection.

All of this is called by the account that owns the releases, never by root.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
import time
import urllib.error
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._release import ReleaseError

CHUNK = 1 << 20
MOST_BYTES, MOST_FILES = 4 << 30, 400_000
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Member(NamedTuple):
    """One thing in an archive."""

    name: str
    kind: str  # directory | file | link (symbolic) | name (a second one of a file) | other
    mode: int
    size: int
    target: str = ""


def fetch(place: str, sha256: str, into: str, *, seconds: float, most_bytes: int = MOST_BYTES) -> None:
    """Copy the archive at ``place`` to the file ``into``, and prove that it is the right one.

    :raises ReleaseError: it cannot be read, is too large, or is another one.
    """
    digest, size = hashlib.sha256(), 0
    deadline = time.monotonic() + seconds  # a socket's own limit begins anew with each byte
    try:
        with _open(place, seconds) as source, open(into, "wb") as target:  # noqa: PTH123
            while data := source.read1(CHUNK):
                size += len(data)
                if time.monotonic() > deadline:
                    raise ReleaseError(
                        f"{size >> 20} MiB of {place} came in {seconds:.0f} s: look at the network, or raise deploy.build_timeout"
                    )
                if size > most_bytes:
                    raise ReleaseError(f"{place} is larger than {most_bytes >> 20} MiB: an artefact is not")
                digest.update(data)
                target.write(data)
    except urllib.error.URLError as exc:
        why = f"the server answered {exc.code}" if isinstance(exc, urllib.error.HTTPError) else exc.reason
        raise ReleaseError(f"cannot fetch {place} ({why}): look at the address and the network") from exc
    except OSError as exc:
        raise ReleaseError(f"cannot fetch {place} ({exc.strerror or exc}): look at it by hand") from exc
    if digest.hexdigest() != sha256:
        raise ReleaseError(
            f"{place} has the SHA-256 {digest.hexdigest()}, and {sha256} was asked for: it is another one"
        )


def _open(place: str, seconds: float) -> Any:
    if place.startswith("/"):
        return open(place, "rb")  # noqa: PTH123
    from ansible.module_utils.urls import open_url  # noqa: PLC0415  # only who fetches one needs it

    return open_url(place, timeout=min(seconds, 60))


def unpack(archive: str, directory: str) -> str:
    """Write the files of ``archive`` to ``directory``, which is empty; return where they are: in it, or in the only directory of it.

    :raises ReleaseError: it is damaged, too large, or something in it would lie outside.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                _write(_zip_members(packed), directory)
        else:
            with tarfile.open(archive) as packed_tar:
                _write(_tar_members(packed_tar), directory)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as exc:
        raise ReleaseError(f"the archive is damaged, or of a kind that is not known ({exc}): build it again") from exc
    except OSError as exc:
        raise ReleaseError(f"cannot unpack to {exc.filename or directory}: {exc.strerror or exc}") from exc
    entries = list(Path(directory).iterdir())
    if len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink():
        return str(entries[0])
    return directory


def _tar_members(archive: tarfile.TarFile) -> Iterator[tuple[Member, Callable[[], IO[bytes] | None]]]:
    for one in archive:
        kind = (
            "directory"
            if one.isdir()
            else "file"
            if one.isreg()
            else "link"
            if one.issym()
            else "name"
            if one.islnk()
            else "other"
        )
        yield Member(one.name, kind, one.mode, one.size, one.linkname), lambda one=one: archive.extractfile(one)  # type: ignore[misc]


def _zip_members(archive: zipfile.ZipFile) -> Iterator[tuple[Member, Callable[[], IO[bytes] | None]]]:
    for one in archive.infolist():
        mode = one.external_attr >> 16
        kind = "directory" if one.is_dir() else "link" if stat.S_ISLNK(mode) else "file"
        target = archive.read(one).decode("utf-8", "surrogateescape") if kind == "link" and one.file_size < 4096 else ""
        yield Member(one.filename, kind, mode or 0o644, one.file_size, target), lambda one=one: archive.open(one)  # type: ignore[misc]


def _write(members: Iterator[tuple[Member, Callable[[], IO[bytes] | None]]], directory: str) -> None:
    size = count = 0
    links: set[PurePosixPath] = set()
    for member, content in members:
        path, count = safe_path(member, links), count + 1
        if count > MOST_FILES:
            raise ReleaseError(f"the archive holds more than {MOST_FILES} files: it is none of an application")
        place = Path(directory, path)
        if member.kind == "directory":
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_symlink() or place.exists():
            place.unlink()  # the last one of a name counts, as with tar
        if member.kind == "link":
            links.add(path)
            place.symlink_to(member.target)
        elif member.kind == "name":
            target = safe_path(member._replace(name=member.target), links)
            if target in links:  # relative to its new place, it could lead anywhere
                raise ReleaseError(f"the archive holds {member.name}, another name of a symbolic link: build it again")
            links.discard(path)
            os.link(Path(directory, target), place, follow_symlinks=False)
        else:
            links.discard(path)
            size += _copy(member, content, place, MOST_BYTES - size)
        reached("release:unpacked")


def _copy(member: Member, content: Callable[[], IO[bytes] | None], place: Path, most_bytes: int) -> int:
    """Write a file, and return how large it is: what the archive says of that is not believed."""
    size, source = 0, content()
    with os.fdopen(os.open(place, NEW, 0o644), "wb") as target:
        while source is not None and (data := source.read(CHUNK)):
            size += len(data)
            if size > most_bytes:
                raise ReleaseError(
                    f"the archive unpacks to more than {MOST_BYTES >> 30} GiB: it is none of an application"
                )
            target.write(data)
    place.chmod(0o755 if member.mode & 0o111 else 0o644)
    return size


def safe_path(member: Member, links: set[PurePosixPath]) -> PurePosixPath:
    """Return where ``member`` belongs below the directory.

    :param links: the symbolic links so far: nothing is written through one
    :raises ReleaseError: it would lie outside, or is no file.
    """
    path = PurePosixPath(member.name)
    if member.kind == "other":
        raise ReleaseError(f"the archive holds {member.name}, a device or a pipe: an application has none")
    if path.is_absolute() or ".." in path.parts or "\0" in member.name:
        raise ReleaseError(f"the archive holds {member.name!r}, which would lie outside of the release: build it again")
    if any(parent in links for parent in path.parents):
        raise ReleaseError(f"the archive holds {member.name} below a symbolic link: build it again")
    if member.kind == "link" and not _stays_inside(path, member.target):
        raise ReleaseError(f"the archive holds {member.name}, which leads to {member.target!r} outside of the release")
    return path


def _stays_inside(path: PurePosixPath, target: str) -> bool:
    if not target or target.startswith("/"):
        return False
    depth = len(path.parts) - 1
    for part in PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return False
    return True
