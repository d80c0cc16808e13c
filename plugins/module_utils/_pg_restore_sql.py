# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQL of a restore: what a database is, one like it, and the exchange of two names. Private to this collection."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_identifier, quote_literal

ADMIN = "postgres"  # the database that is connected to while others are made, renamed and dropped
APPLICATION = "runbook.ops pg_restore"
APPLICATION_BYTES = 63
IN_USE = "55006"
# Settings whose value is a list of names: https://www.postgresql.org/docs/current/sql-alterdatabase.html
LISTS = (
    *("search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"),
    *("shared_preload_libraries", "unix_socket_directories"),
)
PRIVILEGES = {"CREATE": "CREATE", "TEMPORARY": "TEMPORARY", "CONNECT": "CONNECT"}

SERVER = """
SELECT json_build_object(
  'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
  'version', current_setting('server_version'), 'version_num', current_setting('server_version_num')::int,
  'standby', pg_is_in_recovery(),
  'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
  'data_directory', CASE WHEN pg_has_role('pg_read_all_settings', 'MEMBER') THEN current_setting('data_directory') END,
  'names', (SELECT json_object_agg(oid::text, datname) FROM pg_database),
  'comments', (SELECT coalesce(json_object_agg(objoid::text, description), '{}') FROM pg_shdescription
    WHERE classoid = 'pg_database'::regclass),
  'roles', (SELECT json_agg(rolname) FROM pg_roles),
  'extensions', (SELECT json_agg(name) FROM pg_available_extensions));
"""


def application(database: str) -> str:
    """Return how the sessions of a restore of ``database``, and of no other, call themselves; the server keeps no more of it."""
    whole = f"{APPLICATION} {database}"
    if whole.isascii() and len(whole) <= APPLICATION_BYTES:
        return whole
    end = f" {hashlib.sha256(database.encode('utf-8')).hexdigest()[:8]}"
    return whole.encode("ascii", "replace").decode()[: APPLICATION_BYTES - len(end)] + end


def facts(database: str) -> str:
    """Return the question what ``database`` is, whoever connects to it, and who is at work in it; no row where there is none."""
    return f"""
SELECT json_build_object(
  'oid', d.oid::text, 'name', datname, 'owner', pg_get_userbyid(datdba), 'encoding', pg_encoding_to_char(encoding),
  'collate', datcollate, 'ctype', datctype,
  'provider', coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
  'locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
  'tablespace', (SELECT spcname FROM pg_tablespace t WHERE t.oid = dattablespace),
  'connection_limit', datconnlimit, 'comment', shobj_description(d.oid, 'pg_database'),
  'size_bytes', CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) END,
  'granted', datacl IS NOT NULL,
  'grants', coalesce((SELECT json_agg(json_build_object('role', r.rolname, 'privilege', a.privilege_type, 'grantable', a.is_grantable)
      ORDER BY r.rolname NULLS FIRST, a.privilege_type) FROM aclexplode(datacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee), '[]'),
  'settings', coalesce((SELECT json_agg(json_build_object('role', r.rolname, 'name', split_part(one, '=', 1),
      'value', substr(one, strpos(one, '=') + 1)) ORDER BY r.rolname NULLS FIRST, one)
    FROM pg_db_role_setting s CROSS JOIN unnest(setconfig) one LEFT JOIN pg_roles r ON r.oid = setrole
    WHERE setdatabase = d.oid), '[]'),
  'sessions', coalesce((SELECT json_agg(json_build_object('pid', pid, 'user', usename, 'application', application_name,
      'type', backend_type) ORDER BY pid) FROM pg_stat_activity a WHERE a.datid = d.oid AND pid <> pg_backend_pid()), '[]'),
  'prepared', coalesce((SELECT json_agg(gid) FROM pg_prepared_xacts p WHERE p.database = d.datname), '[]'),
  'slots', coalesce((SELECT json_agg(slot_name) FROM pg_replication_slots s WHERE s.database = d.datname), '[]'),
  'subscriptions', (SELECT count(*) FROM pg_subscription WHERE subdbid = d.oid))
FROM pg_database d WHERE datname = {quote_literal(database)};
"""


def parse_facts(lines: Sequence[str]) -> dict[str, Any] | None:
    """Return what :func:`facts` has told; None where there is no such database."""
    told: dict[str, Any] | None = json.loads("\n".join(lines)) if lines else None
    return told


def create(name: str, like: Mapping[str, Any], *, comment: str) -> str:
    """Return how an empty database is made ``like`` another. Ordinary roles cannot enter it yet."""
    words = [
        f"CREATE DATABASE {quote_identifier(name)} TEMPLATE template0",
        f"OWNER {quote_identifier(like['owner'])}",
        f"ENCODING {quote_literal(like['encoding'])}",
        f"LC_COLLATE {quote_literal(like['collate'])}",
        f"LC_CTYPE {quote_literal(like['ctype'])}",
    ]
    provider, locale = like.get("provider") or "c", like.get("locale")
    if provider == "i" and locale:
        words.append(f"LOCALE_PROVIDER icu ICU_LOCALE {quote_literal(locale)}")
    elif provider == "b" and locale:
        words.append(f"LOCALE_PROVIDER builtin BUILTIN_LOCALE {quote_literal(locale)}")
    if like.get("tablespace"):
        words.append(f"TABLESPACE {quote_identifier(like['tablespace'])}")
    words.append("CONNECTION LIMIT 0")
    return f"{' '.join(words)};\nCOMMENT ON DATABASE {quote_identifier(name)} IS {quote_literal(comment)};\n"


def quick(name: str) -> str:
    """Return the settings under which a database is filled fast. :func:`carry_over` takes them away."""
    database = quote_identifier(name)
    return (
        f"ALTER DATABASE {database} SET synchronous_commit = off;\n"
        f"ALTER DATABASE {database} SET maintenance_work_mem = '256MB';\n"
    )


def carry_over(name: str, like: Mapping[str, Any]) -> str:
    """Return how the database ``name`` gets the settings and grants of another, and no others."""
    database = quote_identifier(name)
    lines = [f"ALTER DATABASE {database} RESET ALL;"]
    for setting in like.get("settings") or []:
        if setting["value"] is None:
            continue  # a manifest names it and does not tell it: it may be a secret
        role = setting.get("role")
        who = f"ROLE {quote_identifier(role)} IN DATABASE {database}" if role else f"DATABASE {database}"
        lines.append(f"ALTER {who} SET {_setting(setting['name'], setting['value'])};")
    if like.get("granted"):
        lines.append(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC, {quote_identifier(like['owner'])};")
        for grant in like["grants"]:
            to = quote_identifier(grant["role"]) if grant["role"] else "PUBLIC"
            option = " WITH GRANT OPTION" if grant["grantable"] else ""
            lines.append(f"GRANT {PRIVILEGES[grant['privilege']]} ON DATABASE {database} TO {to}{option};")
    return "\n".join(lines) + "\n"


def _setting(name: str, value: str) -> str:
    named = ".".join(quote_identifier(part) for part in name.split("."))
    if name.lower() not in LISTS:
        return f"{named} TO {quote_literal(value)}"
    parts = re.findall(r'\s*(?:"((?:[^"]|"")*)"|([^,\s"]+))\s*(?:,|\Z)', value)
    names = [plain if plain else quoted.replace('""', '"') for quoted, plain in parts]
    return f"{named} TO {', '.join(quote_literal(one) for one in names)}"


def exchange(
    live: str, *, out: tuple[str, str], into: tuple[str, str], like: Mapping[str, Any], comment: str, carry: bool
) -> str:
    """Return the transaction after which ``into`` has the name ``live``, and the one that had it has the name ``out``.

    :param out: oid of the one that has the name now, and the name that it gets
    :param into: oid and name of the one that gets it
    :param like: what the one with the name is now: its limit and its comment go over to the other
    :param comment: says of the kept one why it is there
    :param carry: whether the settings and grants go over as well; otherwise each keeps its own
    """
    old, new = quote_identifier(out[1]), quote_identifier(into[1])
    name = quote_identifier(live)
    said = quote_literal(like["comment"]) if like.get("comment") else "NULL"
    return f"""
BEGIN;
SET LOCAL synchronous_commit = on;
{_expect({out[0]: live, into[0]: into[1]})}
{carry_over(into[1], like) if carry else ""}
{end_sessions([live, into[1]])}
ALTER DATABASE {name} RENAME TO {old};
ALTER DATABASE {new} RENAME TO {name};
ALTER DATABASE {name} CONNECTION LIMIT {int(like["connection_limit"])};
ALTER DATABASE {old} CONNECTION LIMIT 0;
COMMENT ON DATABASE {name} IS {said};
COMMENT ON DATABASE {old} IS {quote_literal(comment)};
COMMIT;
"""


def put_in_place(live: str, into: tuple[str, str]) -> str:
    """Return the transaction after which ``into`` has the name ``live``, which no database has."""
    name = quote_identifier(live)
    return f"""
BEGIN;
SET LOCAL synchronous_commit = on;
{_expect({into[0]: into[1]})}
{end_sessions([into[1]])}
ALTER DATABASE {quote_identifier(into[1])} RENAME TO {name};
ALTER DATABASE {name} CONNECTION LIMIT -1;
COMMENT ON DATABASE {name} IS NULL;
COMMIT;
"""


def canary(query: str) -> str:
    """Return how a query is asked that must not change anything, with the application's search path."""
    return f"RESET search_path;\nBEGIN READ ONLY;\n{query.rstrip().rstrip(';')};\nROLLBACK;\n"


def end_sessions(names: Sequence[str]) -> str:
    """Return how all sessions of databases are ended but this one."""
    listed = ", ".join(quote_literal(name) for name in names)
    return f"""SELECT count(pg_terminate_backend(pid)) AS ended FROM pg_stat_activity
WHERE datname IN ({listed}) AND pid <> pg_backend_pid() \\gset"""


def end_strangers(names: Sequence[str]) -> str:
    """Return how sessions are ended that a killed restore of these databases has left, wherever they are connected."""
    listed = ", ".join(quote_literal(application(name)) for name in names)
    return f"""SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name IN ({listed}) AND pid <> pg_backend_pid();"""


def drop(oid: str, name: str) -> str:
    """Return how a database is dropped that nobody uses; one of that name but another oid stays."""
    return f"{_expect({oid: name})}\nDROP DATABASE {quote_identifier(name)};\n"


def _expect(names: Mapping[str, str]) -> str:
    """Return a statement that fails unless each database, by its oid, has its name."""
    tests = "\n".join(
        f"  IF NOT EXISTS (SELECT FROM pg_database WHERE oid = {int(oid)} AND datname = {quote_literal(name)}) THEN\n"
        f"    RAISE EXCEPTION 'the database % is not the one that it was: somebody else works here', {quote_literal(name)};\n"
        "  END IF;"
        for oid, name in names.items()
    )
    return f"DO {quote_literal(f'BEGIN{chr(10)}{tests}{chr(10)}END')};"
