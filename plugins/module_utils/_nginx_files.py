# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx's files on this host: read as nginx reads them, replaced together, put back together. Private to this collection.

The journal is written before the first file is replaced, and goes when all is proven: a killed change is found by it.
"""

from __future__ import annotations

import fnmatch
import glob
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._lock_file import HeldError, take
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError, load
from ansible_collections.runbook.ops.plugins.module_utils._nginx_plan import Conf
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

ASIDE = ".runbook-ops-new"


def read_conf(config: str, *also: str) -> Conf:
    """Return the configuration that begins in the file ``config``, and the text of the files ``also``, where they exist.

    :raises NginxError: it cannot be read or understood.
    """
    prefix = os.path.dirname(config)  # noqa: PTH120  # nginx joins text, and so must we
    texts: dict[str, str] = {}

    def read(path: str) -> str:
        if path not in texts:
            try:
                texts[path] = Path(path).read_bytes().decode("utf-8", "surrogateescape")
            except OSError as exc:
                raise NginxError(f"cannot read {path}: {exc.strerror}") from exc
        return texts[path]

    def full(pattern: str) -> str:
        return os.path.join(prefix, pattern)  # noqa: PTH118

    def expand(pattern: str) -> list[str]:
        found = full(pattern)
        return sorted(glob.glob(found)) if glob.has_magic(found) else [found]  # noqa: PTH207

    def would_read(pattern: str, file: str) -> bool:
        parts, wanted = full(pattern).split("/"), file.split("/")
        return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, wanted, parts))

    directives = load(config, read=read, expand=expand)
    for path in also:
        if path not in texts and Path(path).exists():
            read(path)
    return Conf(directives, texts, would_read)


class Change:
    """Files that are replaced together, and the way back."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock: one change at a time. A process that dies lets go of it.

        :raises NginxError: somebody else holds it.
        """
        lock = self._journal.with_suffix(".lock")
        try:
            lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = take(lock)
        except HeldError as exc:
            raise NginxError(f"another run changes this just now: it holds {lock}; wait for it") from exc
        except OSError as exc:
            raise NginxError(f"cannot write {lock}: {exc.strerror}") from exc
        try:
            yield
        finally:
            os.close(handle)

    def pending(self) -> dict[str, str | None] | None:
        """Return the files as they were before a change that was killed; None where none was.

        :raises NginxError: what is written there cannot be read.
        """
        try:
            return dict(json.loads(self._journal.read_text(encoding="utf-8"))["files"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise NginxError(
                f"cannot read {self._journal} ({exc}): look at nginx -t by hand, then move it away"
            ) from exc

    def make(
        self, files: Mapping[str, str | None], conf: Conf, killed: Mapping[str, str | None]
    ) -> dict[str, str | None]:
        """Replace ``files``, and return how they were.

        :param killed: files as they were before a change that was cut off: the way back leads there
        :raises NginxError: one cannot be written; those before it are put back.
        """
        before = {**{path: conf.texts.get(path) for path in files}, **killed}
        after = {**{path: _text(path) for path in killed}, **files}
        try:
            _write(self._journal, json.dumps({"files": before, "after": after}, indent=1), 0o600)
            reached("nginx_change:journaled")
            for path, text in files.items():
                _put(path, text)
                reached("nginx_change:written")
        except OSError as exc:
            self.put_back(before)
            raise NginxError(f"cannot write {exc.filename}: {exc.strerror}; nothing has changed") from exc
        return before

    def put_back(self, before: Mapping[str, str | None]) -> None:
        """Give the files back what they held.

        :raises NginxError: one cannot be written, or somebody else has changed it since.
        """
        try:
            after = json.loads(self._journal.read_text(encoding="utf-8"))["after"] if self._journal.exists() else {}
            for path, text in before.items():
                if _text(path) not in (text, after.get(path)):
                    raise NginxError(
                        f"{path} was changed by somebody else since a change was cut off: mend it until nginx -t passes, "
                        f"then move {self._journal} away"
                    )
            for path, text in before.items():
                _put(path, text)
            self.done()
        except OSError as exc:
            raise NginxError(
                f"cannot put {exc.filename} back ({exc.strerror}): what it held stands in {self._journal}"
            ) from exc

    def done(self) -> None:
        """Forget the way back: what is there is proven."""
        self._journal.unlink(missing_ok=True)


def keep_copies(directory: Path, files: Mapping[str, str | None], conf: Conf) -> list[str]:
    """Keep the files of others as they are before they are edited for the first time, below ``directory``; return the copies.

    :raises NginxError: there is no room, or no right.
    """
    kept = []
    try:
        for path in files:
            copy = directory / path.lstrip("/")
            if path in conf.texts and not copy.exists():
                copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _write(copy, conf.texts[path], 0o600)
                kept.append(str(copy))
    except OSError as exc:
        raise NginxError(f"cannot keep a copy in {directory}: {exc.strerror}; nothing has changed") from exc
    return kept


def changed_at(paths: list[str]) -> float:
    """Return when the newest of these files got its name or its content, in seconds since 1970; 0 where there is none."""
    return max((Path(path).stat().st_ctime for path in paths if Path(path).exists()), default=0.0)


def _put(path: str, text: str | None) -> None:
    place = Path(path).resolve()  # a link of sites-enabled stays a link
    if text is None:
        place.unlink(missing_ok=True)
        return
    if place.exists():
        if place.read_bytes() == _bytes(text):
            return
        found = place.stat()
        _write(place, text, found.st_mode & 0o777, (found.st_uid, found.st_gid))
    else:
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _write(place, text, 0o644)


def _write(place: Path, text: str, mode: int, owner: tuple[int, int] | None = None) -> None:
    aside = f".{place.name}{ASIDE}"  # begins with a dot: no pattern of nginx reads it
    replace_file(place, _bytes(text), mode=mode, owner=owner, aside=aside)


def _text(path: str) -> str | None:
    try:
        return Path(path).read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
