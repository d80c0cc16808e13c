# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How PostgreSQL's own programs reach one server: by socket, over TCP, or inside its container. Private to this collection."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _pg
from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError, container_name
from ansible_collections.runbook.ops.plugins.module_utils._given import with_defaults
from ansible_collections.runbook.ops.plugins.module_utils._pg import PSQL, PgError, Session, conninfo, explain
from ansible_collections.runbook.ops.plugins.module_utils._pg_session import HANGS, PgSession
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, run_pipeline

# The options of the doc fragment runbook.ops.postgresql.server.
ARGUMENTS: dict[str, Any] = {
    **{name: spec for name, spec in _pg.ARGUMENTS.items() if name != "databases"},
    "container": {"type": "str"},
    "project": {"type": "str"},
    "service": {"type": "str"},
}
RULES: dict[str, Any] = {
    "required_together": [("project", "service")],
    "mutually_exclusive": [("container", "service")],
}
KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}  # a host that is gone is noticed
# A limit of the server's own does not help where the server itself hangs: each program has one of ours as well.
PATIENCE = 3  # times the limit of one statement, for all of them
LONGEST_SECONDS = 6 * 3600.0  # where a statement has no limit
SAID = re.compile(r"^(?:pg_\w+|psql):(?:[^:]*:\d+:)? (?:error|fatal|detail|warning|hint): ", re.MULTILINE)
# Of a table that a dump could not read: the command says less than the reason before it.
# A command may go on for lines, and may hold a secret; so may details that quote a row.
NOISE = re.compile(
    r"^(?:pg_\w+: (?:while |from TOC entry ).*$"
    r"|(?:pg_\w+: )?(?:detail: )?(?:Command was|The command was|Query was|query was): .*(?:\n(?!pg_\w+: ).*)*"
    r"|(?:DETAIL:  (?:Failing row|Key \()|CONTEXT:  ).*(?:\n(?!pg_\w+: ).*)*)",
    re.MULTILINE,
)


class PgTarget:
    """One server. A secret reaches its programs in their environment, never in their arguments."""

    def __init__(self, params: Mapping[str, Any], *, application: str = "runbook.ops") -> None:
        """Prepare to reach it; nothing is asked yet.

        :param params: those of :data:`ARGUMENTS`; what is missing has its default
        :param application: how the sessions call themselves in pg_stat_activity
        """
        self._params = with_defaults(params, ARGUMENTS)
        self._database = params.get("database")
        self._versions: dict[str, str] = {}  # of programs
        self.application = application
        self.inside = bool(self._params["container"] or self._params["service"])
        host = self._params["login_host"]
        self.local = not self.inside and (not host or host.startswith("/"))

    @classmethod
    def from_params(cls, params: Mapping[str, Any], *, application: str = "runbook.ops") -> PgTarget:
        return cls(params, application=application)

    def stage(self, program: str, *arguments: str, database: str | None = None, reads: bool = False) -> Stage:
        """Return ``program`` as a stage of a pipeline.

        :param database: the one to connect to; without it the program gets no ``-d``
        :param reads: it is fed on its standard input
        :raises PgError: it is not installed, is older than the server, or the container does not run.
        """
        # Dumps stay in the encoding of their database: what is no valid text in another one is saved all the same.
        environment = {**self._environment(), **({"PGCLIENTENCODING": "UTF8"} if program == "psql" else {})}
        path = program if self.inside else self.program(program)
        where = ["-d", conninfo({"dbname": database, **(KEEPALIVES if not self.local else {})})] if database else []
        argv = [path, *arguments, *where]
        if not self.inside:
            return Stage(argv, environment, user=self._params["run_as"] if self.local else None, name=program)
        # The program itself, without a shell around it. PostgreSQL is the first process in there and inherits what loses its
        # parent: of such a one that ends by a signal it believes that a session has crashed, and ends all the others.
        named = [*(["--interactive"] if reads else []), *(f"--env={key}" for key in environment)]
        argv = ["docker", "exec", *named, self.container, *argv]
        return Stage(argv, environment, name=f"{program} in container {self.container}")

    def _environment(self) -> dict[str, str]:
        """Return libpq's variables: https://www.postgresql.org/docs/current/libpq-envars.html"""
        params, inside = self._params, self.inside
        environment = {
            "PGHOST": "" if inside else params["login_host"] or params["login_unix_socket"],
            "PGPORT": "" if inside else str(params["login_port"]),
            "PGUSER": params["login_user"]
            or (params["run_as"] if inside or (self.local and os.geteuid() == 0) else ""),
            "PGPASSWORD": params["login_password"] or "",
            "PGSSLMODE": "" if inside else params["ssl_mode"],
            "PGCONNECT_TIMEOUT": str(params["connect_timeout_seconds"]),
            "PGAPPNAME": self.application,
            "PGTZ": "UTC",
            "LC_ALL": "C",
        }
        return {key: value for key, value in environment.items() if value}

    @cached_property
    def container(self) -> str:
        """The name of the running container.

        :raises PgError: there is none, or Docker does not tell.
        """
        try:
            return container_name(**{key: self._params[key] for key in ("project", "service", "container")})
        except DockerError as exc:
            raise PgError(f"PostgreSQL's container cannot be found: {exc}: see docker ps --all") from exc

    def program(self, name: str) -> str:
        """Return the path of ``name`` on this host: the oldest that is not older than the server; of psql the newest.

        :raises PgError: there is none.
        """
        found = installed(name)
        if not found:
            raise PgError(f"{name} is not installed on this host: install PostgreSQL's client programs")
        if name == "psql" or None in found:
            return found[max(found, key=lambda version: version or 0)]
        server = self.server_version_num // 10000
        fitting = [version for version in found if version and version >= server]
        if not fitting:
            newest = max(version for version in found if version)
            raise PgError(
                f"the server is PostgreSQL {server}, and {name} here is {newest}: install postgresql-client-{server}"
            )
        return found[min(fitting)]

    def program_version(self, name: str) -> str:
        """Return such as ``15.14``, of the program that is used for this server."""
        if name not in self._versions:
            try:
                said = run_pipeline([self.stage(name, "--version")], timeout_seconds=20).text
            except PipelineError as exc:
                raise PgError(str(exc)) from exc
            self._versions[name] = (re.search(r"\d+(?:\.\d+|\w+)", said) or [said.strip()])[0]
        return self._versions[name]

    def program_major(self, name: str) -> int:
        """Return such as 15: see :meth:`program_version`."""
        found = re.match(r"\d+", self.program_version(name))
        return int(found[0]) if found else 0

    @cached_property
    def server_version_num(self) -> int:
        """The server's version, such as 150014. A role may be let into its own database only."""
        asked = "SHOW server_version_num;"
        try:
            return int(self.sql("postgres", asked)[0])
        except PgError:
            if self._database in (None, "postgres"):
                raise
        return int(self.sql(self._database, asked)[0])

    def versions(self) -> int:
        """Return the server's version, such as 150014."""
        return self.server_version_num

    def sql(
        self, database: str, sql: str, *, timeout_seconds: float = 60, lock_timeout_seconds: float = 10
    ) -> list[str]:
        """Return the lines that ``sql`` prints in ``database``.

        :param timeout_seconds: of each statement, and three times that of all together; 0 is six hours for all together
        :raises PgError: no connection, or a statement failed; the ones after it did not run.
        """
        session = Session(self.application, lock_timeout_seconds, timeout_seconds)
        stage = self.stage("psql", *PSQL, database=database, reads=True)
        limit = self._params["connect_timeout_seconds"] + PATIENCE * timeout_seconds if timeout_seconds else 0
        try:
            done = run_pipeline(
                [stage], source=(session.prelude() + sql).encode(), timeout_seconds=limit or LONGEST_SECONDS
            )
        except PipelineError as exc:
            if exc.code is None and "did not end" in str(exc):
                raise PgError(f"{exc}: {HANGS}") from exc
            raise explain(exc.stderr, database) if exc.stderr else PgError(str(exc)) from exc
        return done.text.splitlines()

    def json(self, database: str, sql: str, *, timeout_seconds: float = 60, lock_timeout_seconds: float = 10) -> Any:
        """Return the one JSON document that ``sql`` prints: see :meth:`sql`."""
        lines = self.sql(database, sql, timeout_seconds=timeout_seconds, lock_timeout_seconds=lock_timeout_seconds)
        return json.loads("\n".join(lines))

    def session(self, database: str) -> PgSession:
        """Return a session that stays open: ``with target.session("shop") as session: session("SELECT 1;")``."""
        return PgSession(self, database)


def installed(name: str) -> dict[int | None, str]:
    """Return where ``name`` is on this host, by its version; None is the one of unknown version that PATH holds."""
    found: dict[int | None, str] = {}
    for root in (Path("/usr/lib/postgresql"), Path("/usr")):
        pattern = "*/bin" if root.name == "postgresql" else "pgsql-*/bin"
        for directory in root.glob(pattern):
            version = directory.parent.name.rpartition("-")[2]
            if version.isdigit() and os.access(directory / name, os.X_OK):
                found[int(version)] = str(directory / name)
    if not found:
        places = ("/usr/local/bin", "/usr/bin", "/bin", *os.environ.get("PATH", "").split(":"))
        path = next((f"{place}/{name}" for place in places if place and os.access(f"{place}/{name}", os.X_OK)), None)
        if path:
            found[None] = path
    return found


def tool_error(exc: PipelineError, database: str) -> PgError:
    """Return what pg_dump or pg_restore said as one line that says what to do."""
    if not exc.stderr.strip():
        return PgError(str(exc))
    lines = SAID.sub("", NOISE.sub("", exc.stderr)).splitlines()
    words = [line.strip() for line in lines if line.strip()]
    refused = next((line for line in words if "FATAL:" in line or line.startswith("connection to server")), None)
    if refused:
        return explain(refused, database)
    first = next(
        (number for number, line in enumerate(words) if "ERROR:" in line or "ailed" in line or "rror" in line), 0
    )
    reason = "; ".join(line.rstrip(".:") for line in words[first : first + 2])
    return PgError(f"{exc.name} failed on database {database}: {reason or exc}")
