# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drive mongodump and mongorestore. Private to this collection.

The password stands in a file that only exists in memory, which the tool opens by its number (``--config``).
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._codec import decoding
from ansible_collections.runbook.ops.plugins.module_utils._mongo_server import Place
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import (
    CHUNK,
    PipelineError,
    Stage,
    run_pipeline,
    said,
    spawn,
)

DUMP, RESTORE = "mongodump", "mongorestore"


@contextmanager
def _tool(program: str, place: Place, more: Sequence[str]) -> Iterator[Stage]:
    """Give the call of a tool; its password is gone at the end."""
    argv = [program, f"--host={place.host}", f"--port={place.port}"]
    if place.user is None:
        yield Stage([*argv, *more])
        return
    handle = os.memfd_create("mongodb", os.MFD_CLOEXEC)
    try:
        # JSON is YAML.
        os.write(handle, json.dumps({"password": place.password or ""}, ensure_ascii=False).encode())
        login = [f"--username={place.user}", f"--authenticationDatabase={place.auth_database}"]
        yield Stage([*argv, *login, f"--config=/proc/self/fd/{handle}", *more], pass_fds=(handle,))
    finally:
        os.close(handle)


def dump(place: Place, database: str, without: Sequence[str] = (), *, timeout_seconds: float) -> Iterator[bytes]:
    """Yield an archive of ``database`` in pieces; when it ends without an error mongodump has ended well.

    :param without: collections that are left out
    :raises PipelineError: it is not installed, failed, or took too long.
    """
    more = [f"--db={database}", "--archive", *(f"--excludeCollection={name}" for name in without)]
    with _tool(DUMP, place, more) as stage:
        yield from _output(stage, timeout_seconds)


def _output(stage: Stage, timeout_seconds: float) -> Iterator[bytes]:
    deadline = time.monotonic() + timeout_seconds
    with tempfile.TemporaryFile() as words:
        process = spawn(stage, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words)
        try:
            if process.stdout is None:  # it was asked for
                return
            while True:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                    raise PipelineError(f"{stage.title} did not end within {timeout_seconds:g} s", name=stage.title)
                piece = os.read(process.stdout.fileno(), CHUNK)
                if not piece:
                    break
                yield piece
            code = process.wait(max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise PipelineError(f"{stage.title} did not end within {timeout_seconds:g} s", name=stage.title) from None
        finally:
            _end(process)
        if code:
            words.seek(0)
            text = words.read().decode("utf-8", "replace")
            raise PipelineError(f"{stage.title} failed ({code}): {said(text)}", name=stage.title, code=code)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what still runs, and let go of its pipe."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout:
        process.stdout.close()


def load(
    backup: Backup,
    place: Place,
    names: tuple[str, str],
    without: Sequence[str] = (),
    *,
    identity: str | None,
    timeout_seconds: float,
) -> None:
    """Restore what ``backup`` holds under other names.

    :param names: pattern of the names as they were saved, and of those that they get, with ``$c$`` for the collection
    :param without: names as they were saved that are left out
    :raises PipelineError: it is not installed, failed, or took too long.
    :raises CodecError: the backup is encrypted and there is no key, or a program is not here.
    """
    path = backup.path / backup.manifest["content"]["payload"]
    include = names[0].replace("$c$", "*")
    more = [
        "--archive",
        "--objcheck",
        "--stopOnError",
        f"--nsInclude={include}",
        f"--nsFrom={names[0]}",
        f"--nsTo={names[1]}",
    ]
    more += [f"--nsExclude={name}" for name in without]
    with _tool(RESTORE, place, more) as stage, decoding(path, identity=identity) as (stages, source):
        run_pipeline([*stages, stage], source=source, timeout_seconds=timeout_seconds)
