# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill an empty PostgreSQL database from the archive of a backup. Private to this collection."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._codec import decoding
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget, tool_error
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, run_pipeline
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import account_of
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
            stage = target.stage("pg_restore", *options, database=name, reads=True)
            with decoding(dump, identity=how.identity) as (stages, source):
                run_pipeline([*stages, stage], source=source, timeout_seconds=how.timeout_seconds)
        elif target.inside:
            raise PgError(
                f"{dump} is a directory, which cannot be reached inside a container: give the server's address"
            )
        else:
            stage = target.stage("pg_restore", *options, f"--jobs={how.jobs}", "--format=directory", database=name)
            with readable(dump, stage.user, how.workplace) as handle:
                # By its number: the directories above it are closed to the server's account.
                stage = stage._replace(argv=[*stage.argv, f"/proc/self/fd/{handle}"], pass_fds=(handle,))
                run_pipeline([stage], timeout_seconds=how.timeout_seconds)
    except PipelineError as exc:
        if exc.name.startswith("pg_restore"):
            raise tool_error(exc, name) from exc
        raise


@contextmanager
def readable(path: Path, user: str | None, workplace: Path) -> Iterator[int]:
    """Give a handle of a directory whose files ``user`` can read: of ``path``, or of a copy that is gone afterwards.

    :raises PgError: there is no room for a copy.
    """
    copy = None
    if user and os.geteuid() == 0 and path.stat().st_uid != account_of(user)["user"]:
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
