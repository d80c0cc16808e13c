# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill an empty PostgreSQL database from the archive of a backup. Private to this collection."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._codec import decoding, read_head
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_archive import HEAD_BYTES, ArchiveError, read_archive
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget, tool_error
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, run_pipeline
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import PATH, account_of
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size


class Load(NamedTuple):
    """How a dump is read."""

    jobs: int
    identity: str | None  # the private key of an encrypted backup
    workplace: Path  # for a copy that the server's account can read, where it needs one
    timeout_seconds: float | None


def fill(target: PgTarget, name: str, dump: Path, how: Load) -> None:
    """Restore the archive ``dump`` into the empty database ``name``.

    :raises PgError: something in it cannot be restored.
    :raises CodecError: it is encrypted and the key is missing or wrong, or a program is missing.
    :raises PipelineError: it cannot be decrypted or unpacked.
    """
    options = ["--exit-on-error", "--no-password", "--no-subscriptions"]
    try:
        if not dump.is_dir():
            _from_stream(target, name, dump, options, how)
        elif target.inside:
            raise PgError(
                f"{dump} is a directory, which cannot be reached inside a container: give the server's address"
            )
        else:
            stage = target.stage("pg_restore", *options, f"--jobs={how.jobs}", "--format=directory", database=name)
            run_on_directory(stage, dump, how)
    except PipelineError as exc:
        if exc.name.startswith("pg_restore"):
            raise tool_error(exc, name) from exc
        raise


def _from_stream(target: PgTarget, name: str, dump: Path, options: list[str], how: Load) -> None:
    """Restore one stream: its rows by one session, and then, where that can be had, its indexes and constraints by several.

    For these pg_restore needs nothing but the table of contents, which stands at the head. It gets it in memory: what was
    encrypted never is on a disk as it was.
    """
    began = time.monotonic()
    contents = table_of_contents(dump, how) if how.jobs > 1 and not target.inside else None
    first = ["--section=pre-data", "--section=data"] if contents else []
    stage = target.stage("pg_restore", *options, *first, database=name, reads=True)
    with decoding(dump, identity=how.identity) as (stages, source):
        run_pipeline([*stages, stage], source=source, timeout_seconds=how.timeout_seconds)
    if contents is None:
        return
    limit = how.timeout_seconds
    left = None if limit is None else max(1.0, limit - (time.monotonic() - began))
    stage = target.stage("pg_restore", *options, "--section=post-data", f"--jobs={how.jobs}", database=name)
    handle = os.memfd_create("table of contents")
    with os.fdopen(handle, "wb") as file:
        file.write(contents)
        file.flush()
        stage = stage._replace(argv=[*stage.argv, f"/proc/self/fd/{handle}"], pass_fds=(handle,))
        run_pipeline([stage], timeout_seconds=left)


def table_of_contents(dump: Path, how: Load) -> bytes | None:
    """Return the head of an archive in PostgreSQL's custom format; None where it is none, or too large, or nobody here knows it."""
    if not hasattr(os, "memfd_create"):
        return None
    head = read_head(dump, HEAD_BYTES, identity=how.identity)
    try:
        read_archive(head)
    except ArchiveError:
        return None
    return head


def run_on_directory(stage: Stage, dump: Path, how: Load) -> None:
    """Let pg_restore read a directory that belongs to root and nobody else may enter, where it must not run as root itself.

    :raises PgError: there is no room for a copy, where it needs one.
    :raises PipelineError: it failed.
    """
    own = not stage.user or os.geteuid() != 0 or dump.stat().st_uid == account_of(stage.user)["user"]
    reader = None if own or stage.user is None else as_reader(stage, stage.user)
    if reader:
        run_pipeline([reader._replace(argv=[*reader.argv, str(dump)])], timeout_seconds=how.timeout_seconds)
        return
    with readable(dump, None if own else stage.user, how.workplace) as handle:
        # By its number: the directories above it are closed to the server's account.
        stage = stage._replace(argv=[*stage.argv, f"/proc/self/fd/{handle}"], pass_fds=(handle,))
        run_pipeline([stage], timeout_seconds=how.timeout_seconds)


def as_reader(stage: Stage, user: str) -> Stage | None:
    """Return ``stage`` run as ``user``, who may read all files besides, and write none; None where that cannot be had here."""
    setpriv = shutil.which("setpriv", path=PATH)  # of util-linux, which every Linux has; a container may not let it
    account = account_of(user)
    argv = [
        *(str(setpriv), f"--reuid={account['user']}", f"--regid={account['group']}", "--init-groups"),
        *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--pdeathsig=KILL", "--"),
    ]
    try:
        if setpriv is None:
            return None
        run_pipeline([Stage([*argv, "true"])], timeout_seconds=10)
    except PipelineError:
        return None
    return stage._replace(
        argv=[*argv, *stage.argv], user=None, environment={**stage.environment, "HOME": account["home"]}
    )


@contextmanager
def readable(path: Path, user: str | None, workplace: Path) -> Iterator[int]:
    """Give a handle of the directory ``path``, or of a copy that belongs to ``user`` and is gone afterwards.

    :raises PgError: there is no room for a copy.
    """
    copy = None
    if user:
        copy = workplace
        shutil.rmtree(copy, ignore_errors=True)
        needed, free = sum(file.stat().st_size for file in path.iterdir()), shutil.disk_usage(copy.parent).free
        if needed > free:
            raise PgError(
                f"{user} must not read {path}, and {copy.parent} has {human_size(free)} free for a copy of {human_size(needed)}: "
                "make room there"
            )
        copy.mkdir(mode=0o700)
    try:
        if copy and user:
            for file in path.iterdir():
                shutil.copyfile(file, copy / file.name)
                shutil.chown(copy / file.name, user)
            shutil.chown(copy, user)
        handle = os.open(copy or path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield handle
        finally:
            os.close(handle)
    finally:
        if copy:
            shutil.rmtree(copy, ignore_errors=True)
