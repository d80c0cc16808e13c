# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How PostgreSQL is reached and how it is quoted: psql, SQL on stdin, JSON back. Private to this collection."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError

# The options of the doc fragment runbook.ops.postgresql.
ARGUMENTS: dict[str, Any] = {
    "databases": {"type": "list", "elements": "str", "required": True},
    "login_host": {"type": "str", "default": "", "aliases": ["host"]},
    "login_port": {"type": "int", "default": 5432, "aliases": ["port"]},
    "login_user": {"type": "str"},
    "login_password": {"type": "str", "no_log": True},
    "login_unix_socket": {"type": "path", "default": "", "aliases": ["unix_socket"]},
    "ssl_mode": {
        "type": "str",
        "default": "prefer",
        "choices": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
    },
    "connect_timeout_seconds": {"type": "int", "default": 10},
    "run_as": {"type": "str", "default": "postgres"},
}
PSQL = ("-X", "-w", "-qAt", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose")
REPORTED = re.compile(r"^(?:psql:[^:]*:\d+: )?(?:ERROR|FATAL|PANIC):\s+(?:([0-9A-Z]{5}): )?(.*)$", re.MULTILINE)
DETAIL = re.compile(r"^(?:DETAIL|HINT):\s+(.*)$", re.MULTILINE)
DATA = "22"  # the class of errors that quote a value
VALUE = re.compile(r': ".*$|(?<=^value) ".*"(?= is )')

LOCK_NOT_AVAILABLE, CANCELED, DEADLOCK, DISK_FULL = "55P03", "57014", "40P01", "53100"
# What to do next, by the code of the error: https://www.postgresql.org/docs/current/errcodes-appendix.html
REMEDIES = {
    LOCK_NOT_AVAILABLE: "another session holds a lock on it: try again later, or raise lock_timeout_seconds",
    CANCELED: "it was cancelled, by the time limit or by somebody",
    DISK_FULL: "the disk of the server is full: make room, then run this again",
    "42501": "run as the owner or as a superuser (login_user, run_as)",
    "42P01": "it is gone: run this again",
    "57P01": "the server was told to end this session: run this again once it is up",
}
# A refused connection carries no code, only text: what it says, and what to do.
REFUSALS = (
    ("password authentication failed", "check login_user and login_password"),
    ("no password supplied", "set login_password"),
    ("Peer authentication failed", "set run_as to the operating system account of that role"),
    ("no pg_hba.conf entry", "allow this user, host and database in pg_hba.conf"),
    ("in recovery mode", "wait until it accepts connections"),
    ("not yet accepting connections", "wait until it accepts connections"),
    ("starting up", "wait until it accepts connections"),
    ("shutting down", "start the server again"),
    ("too many clients", "free a connection, or raise max_connections"),
    ("remaining connection slots", "free a connection, or raise max_connections"),
    ("could not translate host name", "check login_host"),
    ("timeout expired", "check login_host, login_port and the firewall"),
    ("Connection refused", "is the server running, and are login_host and login_port right?"),
    ("No such file or directory", "is the server running, and are login_unix_socket and login_port right?"),
    ("connection to server was lost", "see the server's log, then run this again"),
    ('role "', "check login_user and run_as"),
    ("does not exist", "check the name in databases"),
)


class PgError(Exception):
    """PostgreSQL could not be reached, or refused a statement; the message is one line."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


def quote_identifier(name: str) -> str:
    """Return ``name`` so that SQL takes it as an identifier, whatever it holds.

    :raises ValueError: the name is empty or holds a NUL byte: PostgreSQL has no such name.
    """
    if not name or "\0" in name:
        raise ValueError(f"{name!r} cannot be a name in PostgreSQL")
    return '"' + name.replace('"', '""') + '"'


def quote_literal(value: str) -> str:
    """Return ``value`` as an SQL string that means the same whatever standard_conforming_strings is.

    :raises ValueError: it holds a NUL byte.
    """
    if "\0" in value:
        raise ValueError("a string in PostgreSQL cannot hold a NUL byte")
    quoted = "'" + value.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in quoted else quoted


def conninfo(parts: Mapping[str, str | int | None]) -> str:
    """Return libpq's connection string for ``parts``; what is None or empty is left to libpq's defaults."""

    def quote(value: str | int) -> str:
        return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"

    return " ".join(f"{key}={quote(value)}" for key, value in parts.items() if value not in (None, ""))


def explain(stderr: str, database: str, *, detail: bool = True) -> PgError:
    """Return what psql printed as one line that says what to do.

    :param detail: whether values of rows may be told, which stand in the server's details
    """
    found = REPORTED.search(stderr)
    if found and found[1]:
        words = [found[2].strip(), *[line.strip() for line in DETAIL.findall(stderr)[:1] if detail]]
        if not detail and found[1].startswith(DATA):
            words = [VALUE.sub("", words[0])]
        remedy = REMEDIES.get(found[1])
        return PgError("; ".join([*words, *([remedy] if remedy else [])]), code=found[1])
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    said = next((line for line in lines if "FATAL" in line or "failed:" in line), lines[-1] if lines else "")
    said = re.sub(r"^psql: error: ", "", said) or "psql said nothing"
    advice = next((advice for words, advice in REFUSALS if words in stderr), "check the connection options")
    return PgError(f"cannot work on database {database}: {said}: {advice}", code="08000" if not found else "")


@dataclass(frozen=True)
class Session:
    """What every statement of one run is sent with. Times are in seconds; 0 means no limit."""

    application: str
    lock_timeout: float = 10
    statement_timeout: float = 60

    def prelude(self) -> str:
        """Return the settings that come before the statements.

        The check interval makes the server notice within a second that a killed client is gone (PostgreSQL 14 and later).
        """
        return f"""\
SET search_path = pg_catalog;
SET jit = off;
SET lock_timeout = {round(self.lock_timeout * 1000)};
SET statement_timeout = {max(1, round(self.statement_timeout * 1000)) if self.statement_timeout else 0};
SELECT :SERVER_VERSION_NUM >= 140000 AS can_check \\gset
\\if :can_check
SET client_connection_check_interval = '1s';
\\endif
"""


class Psql:
    """One server, reached through psql."""

    def __init__(self, program: Callable[..., str], parts: Mapping[str, str | int | None]) -> None:
        self._program = program
        self._parts = parts

    def __call__(self, database: str, sql: str, session: Session) -> list[str]:
        """Return the lines that ``sql`` prints in ``database``.

        :raises PgError: no connection, or a statement failed.
        """
        target = conninfo({**self._parts, "dbname": database, "application_name": session.application})
        try:
            return self._program(*PSQL, "-d", target, stdin=session.prelude() + sql).splitlines()
        except CommandError as exc:
            if "stderr" not in exc.details:
                raise
            raise explain(exc.details["stderr"], database) from exc

    def json(self, database: str, sql: str, session: Session) -> Any:
        """Return the one JSON document that ``sql`` prints."""
        return json.loads("\n".join(self(database, sql, session)))


def is_root() -> bool:
    """Return whether this process may become other accounts."""
    return os.geteuid() == 0


def reach(
    params: Mapping[str, Any], *, is_root: bool
) -> tuple[str | None, dict[str, str], dict[str, str | int | None]]:
    """Return for psql the account to run as, its environment, and the connection's parts.

    Through the local socket root becomes ``run_as``, so that peer authentication lets it in; over TCP nothing changes.
    """
    host = params["login_host"] or params["login_unix_socket"]
    local = not params["login_host"] or params["login_host"].startswith("/")
    environment = {"PGPASSWORD": params["login_password"]} if params["login_password"] else {}
    parts: dict[str, str | int | None] = {
        "host": host,
        "port": params["login_port"],
        "user": params["login_user"],
        "sslmode": params["ssl_mode"],
        "connect_timeout": params["connect_timeout_seconds"],
    }
    return (params["run_as"] if local and is_root else None), environment, parts
