# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session of psql that stays open, each answer within a time. Private to this collection."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import uuid
from types import TracebackType
from typing import TYPE_CHECKING

from ansible_collections.runbook.ops.plugins.module_utils._pg import PSQL, PgError, Session, explain
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, spawn

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget

ANSWER_SECONDS = 600.0  # where nothing else is said
HANGS = "the server or the way to it hangs: look at its log, then run this again"


class PgSession:
    """One open session. It ends with ``with``, and by the kernel's hand with the thread that opened it."""

    tells_detail = True  # whether an error may tell values of rows
    answer_seconds = ANSWER_SECONDS  # for what one call asks

    def __init__(self, target: PgTarget, database: str) -> None:
        self._target, self._database = target, database
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PgSession:
        stage = self._target.stage("psql", *PSQL, database=self._database, reads=True)
        try:
            # Its errors come in order with its answers.
            self._process = spawn(stage, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except PipelineError as exc:
            raise PgError(str(exc)) from exc
        self(Session(self._target.application, statement_timeout=0).prelude())
        return self

    def __call__(self, sql: str, *, limit_seconds: float | None = None) -> list[str]:
        """Return the lines that ``sql`` prints.

        :param limit_seconds: for the answer; without it ``answer_seconds``
        :raises PgError: no connection, no answer in time, or a statement failed; the session has ended then.
        """
        limit_seconds = self.answer_seconds if limit_seconds is None else limit_seconds
        expired = threading.Event()
        timer = threading.Timer(limit_seconds, self._expire, [expired])
        timer.daemon = True
        timer.start()
        try:
            return self._ask(sql)
        except PgError as exc:
            if expired.is_set():
                raise PgError(f"psql did not answer within {limit_seconds:g} s: {HANGS}") from exc
            raise
        finally:
            timer.cancel()
            timer.join()  # one that kills just now does so before the session goes on

    def _expire(self, expired: threading.Event) -> None:
        expired.set()
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def _ask(self, sql: str) -> list[str]:
        if not (self._process and self._process.stdin and self._process.stdout):
            raise PgError("there is no session: use it inside with")
        end = f"end of {uuid.uuid4().hex}"
        lines: list[str] = []
        try:
            self._process.stdin.write(f"{sql}\n\\echo {end}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # what it said is still to be read
        for raw in self._process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if line == end:
                return lines
            lines.append(line)
        raise explain("\n".join(lines), self._database, detail=self.tells_detail)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        try:
            process.stdin and process.stdin.close()
            process.wait(5)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            pass
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            process.stdout and process.stdout.close()
