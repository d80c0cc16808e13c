# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database that exists for the length of a test restore. Private to this collection.

A session holds a lock for as long as it is wanted. Whoever dies lets go of it, and the next run drops what nobody holds.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from types import TracebackType
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError, quote_identifier, quote_literal
from ansible_collections.runbook.ops.plugins.module_utils._pg_session import PgSession
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget

ADMIN = "postgres"
MARK = "runbook.ops: test restore of"
NAME = re.compile(r"(?P<head>.+_scratch_\d{8}t\d{6}z)_(?P<mark>[0-9a-f]{8})\Z", re.DOTALL)
LONGEST = 63  # bytes of a name that PostgreSQL keeps
LIST = """
SELECT json_build_array(datname, shobj_description(oid, 'pg_database')) FROM pg_database
WHERE datname LIKE '%\\_scratch\\_%' ORDER BY datname;
"""


def scratch_name(database: str, at: datetime) -> str:
    """Return a name that nobody gives a database by chance: its end is a checksum of the rest."""
    end = f"_scratch_{at.astimezone(timezone.utc).strftime('%Y%m%dt%H%M%Sz')}"
    head = database.encode("utf-8")[: LONGEST - len(end) - 9].decode("utf-8", "ignore") + end
    return f"{head}_{_mark(head)}"


def is_scratch(name: str, comment: str | None) -> bool:
    """Return whether a database is one of ours. One that was killed before it got its comment has none."""
    match = NAME.match(name)
    return match is not None and match["mark"] == _mark(match["head"]) and (comment or MARK).startswith(MARK)


def _mark(head: str) -> str:
    return hashlib.sha256(f"runbook.ops {head}".encode()).hexdigest()[:8]


def create(name: str, content: Mapping[str, Any], *, owner: str | None, comment: str) -> str:
    """Return how an empty database is made like the one whose ``content`` a backup holds."""
    words = [f"CREATE DATABASE {quote_identifier(name)} TEMPLATE template0"]
    words += [f"OWNER {quote_identifier(owner)}"] if owner else []
    for key, clause in (("encoding", "ENCODING"), ("collate", "LC_COLLATE"), ("ctype", "LC_CTYPE")):
        words += [f"{clause} {quote_literal(content[key])}"] if content.get(key) else []
    locale = content.get("locale")
    if content.get("provider") == "i" and locale:
        words.append(f"LOCALE_PROVIDER icu ICU_LOCALE {quote_literal(locale)}")
    elif content.get("provider") == "b" and locale:
        words.append(f"LOCALE_PROVIDER builtin BUILTIN_LOCALE {quote_literal(locale)}")
    return f"{' '.join(words)};\nCOMMENT ON DATABASE {quote_identifier(name)} IS {quote_literal(comment)};\n"


def settings(name: str, content: Mapping[str, Any], *, version_num: int, jobs: int = 1) -> str:
    """Return what holds for this database only: it is filled fast, and its sessions end with the program that opened them.

    :param jobs: how many sessions fill it
    """
    wanted = {"synchronous_commit": "off", "maintenance_work_mem": "256MB", "default_transaction_read_only": "off"}
    if version_num >= 110000:
        wanted["jit"] = "off"
        if is_even(content, jobs):
            wanted["max_parallel_maintenance_workers"] = "0"
    if version_num >= 140000:
        wanted["client_connection_check_interval"] = "1s"
    lines = [f"SET {key} = {quote_literal(value)}" for key, value in wanted.items()]
    # Canary queries find their tables as they do in the live one.
    paths = [one["value"] for one in content.get("settings") or () if one["name"] == "search_path" and not one["role"]]
    lines += [f"SET search_path = {path}" for path in paths if path]
    return "".join(f"ALTER DATABASE {quote_identifier(name)} {line};\n" for line in lines)


def is_even(content: Mapping[str, Any], jobs: int) -> bool:
    """Return whether ``jobs`` sessions are busy to the end with one index each.

    Then parallel workers for an index would take the processors from one another: a quarter more of them for the same index.
    """
    rows = [int(number) for number in (content.get("tables") or {}).values()]
    return jobs > 1 and sum(rows) > 0 and max(rows) * jobs <= sum(rows)


def drop(name: str, *, version_num: int) -> str:
    """Return how a database of ours is dropped, whoever is still connected to it."""
    if version_num >= 130000:
        return f"DROP DATABASE IF EXISTS {quote_identifier(name)} WITH (FORCE);\n"
    sessions = f"pg_stat_activity WHERE datname = {quote_literal(name)}"
    ended = f"SELECT count(pg_terminate_backend(pid)) FROM {sessions} \\gset ended_"  # noqa: S608  # it is quoted
    return f"{ended}\nDROP DATABASE IF EXISTS {quote_identifier(name)};\n"


def drop_abandoned(target: PgTarget) -> list[str]:
    """Drop the databases of test restores that have been killed, and return their names.

    :raises PgError: one cannot be dropped.
    """
    gone = []
    for name, comment in map(json.loads, target.sql(ADMIN, LIST)):
        if not is_scratch(name, comment):
            continue
        sql = f"""SELECT pg_try_advisory_lock({_lock(name)}) AS free \\gset
\\if :free
{drop(name, version_num=target.versions())}\\echo dropped
\\endif
"""
        if "dropped" in target.sql(ADMIN, sql, timeout_seconds=600):
            gone.append(name)
    return gone


def _lock(name: str) -> str:
    return f"hashtextextended({quote_literal(f'runbook.ops scratch {name}')}, 0)"


class Scratch:
    """An empty database like that of a backup, inside ``with``."""

    def __init__(
        self, target: PgTarget, content: Mapping[str, Any], *, title: str, now: datetime, jobs: int = 1
    ) -> None:
        """Prepare to make it.

        :param content: of the manifest
        :param title: name of the backup, for whoever finds the database
        :param jobs: how many sessions will fill it
        """
        self.target, self.content, self.title, self.jobs = target, content, title, jobs
        self.name = scratch_name(str(content.get("database") or "database"), now)
        self._session = PgSession(target, ADMIN)
        self._is_ours = False  # another run may make the same in the same second

    def __enter__(self) -> Scratch:
        """Make it. What killed test restores have left is the caller's to drop before, see :func:`drop_abandoned`.

        :raises PgError: the server refuses, or a role or locale of the backup is missing there.
        """
        version = self.target.versions()
        self._session.__enter__()
        try:
            if version >= 140000:
                self._session("SET idle_session_timeout = 0;")
            self._is_ours = self._session(f"SELECT pg_try_advisory_lock({_lock(self.name)});") == ["t"]
            if not self._is_ours:
                raise PgError(f"somebody else makes {self.name} at this moment: run this again")
            self._check_roles()
            reached("backup_verify:locked")
            owner = self.content.get("owner")
            comment = f"{MARK} {self.title}; it is dropped when the test is over, or by the next one"
            self._session(create(self.name, self.content, owner=owner, comment=comment))
            reached("backup_verify:created")
            self._session(settings(self.name, self.content, version_num=version, jobs=self.jobs))
        except BaseException:
            self._leave()
            raise
        return self

    def _check_roles(self) -> None:
        wanted = [str(role) for role in self.content.get("roles") or ()]
        known = set(self._session("SELECT rolname FROM pg_roles;"))
        missing = [role for role in wanted if role not in known]
        if missing:
            raise PgError(
                f"the server has no role {', '.join(missing)}, to which something in the backup belongs: create it there first"
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        try:
            if self._is_ours:
                self.target.sql(ADMIN, drop(self.name, version_num=self.target.versions()), timeout_seconds=600)
        except PgError:
            pass  # the server is gone, or will not: the next run drops it, since nobody holds its lock then
        finally:
            self._session.__exit__(None, None, None)
