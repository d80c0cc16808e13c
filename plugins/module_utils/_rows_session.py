# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session that rows are sent into. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError, quote_literal
from ansible_collections.runbook.ops.plugins.module_utils._pg_session import PgSession
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import Sink
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import RowsError
from ansible_collections.runbook.ops.plugins.module_utils._rows_copy import EXACT, Part

GRACE_SECONDS = 60.0  # for a server to end a statement by itself


class RowsSession(PgSession):
    """A session that rows can be sent into. Its errors go into logs and records: no value of a row is told there."""

    tells_detail = False

    def __enter__(self) -> RowsSession:
        super().__enter__()
        return self

    def send(self, statement: str, part: Part) -> None:
        """Run a COPY that reads what ``part`` sends.

        :raises PgError: a row does not fit.
        """
        self(EXACT)
        process = self._process
        if process is None or process.stdin is None:
            raise PgError("there is no session: use it inside with")
        write: Sink = process.stdin.write
        try:
            write(statement.encode())
            part.send(write)
            write(b"\\.\n")
        except BrokenPipeError:
            pass  # what it said comes as an error of the next statement
        self("SELECT 1;")

    def begin(self, params: Mapping[str, Any]) -> None:
        """Make sure that nobody else imports here.

        :raises RowsError: somebody does.
        """
        # Our own limits hold, whatever the server or the database has for others. That of the server comes first.
        self.answer_seconds = params["timeout_seconds"] + GRACE_SECONDS
        self(f"{EXACT}SET statement_timeout = {params['timeout_seconds'] * 1000};")
        self(f"SET lock_timeout = {params['lock_timeout_seconds'] * 1000};")
        self(f"SET idle_in_transaction_session_timeout = {params['timeout_seconds'] * 1000};")
        self("SET default_transaction_read_only = off;")
        # Where this host is gone without a word, the server lets go of the tables soon.
        self("SET tcp_keepalives_idle = 30;\nSET tcp_keepalives_interval = 10;\nSET tcp_keepalives_count = 3;")
        self("SET default_transaction_isolation = 'read committed';\nSET synchronous_commit = on;")
        key = quote_literal(f"runbook.ops pg_import {params['database']}")
        if self(f"SELECT pg_try_advisory_lock(hashtextextended({key}, 0));") != ["t"]:
            raise RowsError(f"another run imports into {params['database']} at this moment: wait until it has ended")
