# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system's own question to PostgreSQL as a script for psql: one statement, bound values, nothing written. Private to this collection.

Neither the statement nor a value stands in the script as SQL: both do as hexadecimal digits, which the server decodes. It opens the
statement as a cursor with the values bound, which it refuses for several statements and for what returns no rows. The transaction can
only read. What a transaction that only reads does not stop (ending sessions, files, settings) is behind functions that are volatile:
a statement that names one is refused. A superuser becomes who may read only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._sql_text import PIECE, SqlError, after_comment

MOST_ROWS = 200
MOST_BYTES = 256 * 1024
NAME = re.compile(r"[a-z_][a-z0-9_]*")
# Volatile because time passes: they look at the clock, at dice, and at sizes and positions of the server.
HARMLESS = (
    *("clock_timestamp", "timeofday", "random", "gen_random_uuid", "pg_database_size", "pg_tablespace_size"),
    *("pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size", "pg_is_in_recovery"),
    *("pg_current_wal_lsn", "pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp"),
)
SCRIPT = """BEGIN TRANSACTION READ ONLY;
SET LOCAL statement_timeout = {milliseconds};
DO $runbook_ops$
DECLARE
  statement CONSTANT text := convert_from(decode('{statement}', 'hex'), 'UTF8');
  bound CONSTANT text[] := ARRAY(SELECT json_array_elements_text(convert_from(decode('{bound}', 'hex'), 'UTF8')::json));
  named CONSTANT name[] := ARRAY(SELECT json_array_elements_text(convert_from(decode('{named}', 'hex'), 'UTF8')::json))::name[];
  harmless CONSTANT name[] := ARRAY(SELECT json_array_elements_text(convert_from(decode('{harmless}', 'hex'), 'UTF8')::json))::name[];
  reader name;
  refused text;
  answer refcursor;
  one record;
  line text;
  told json[] := '{{}}';
  size bigint := 0;
  cut boolean := false;
BEGIN
  PERFORM set_config('standard_conforming_strings', 'on', true);
  IF current_setting('is_superuser') = 'on' THEN
    PERFORM set_config('temp_file_limit', '1GB', true);
    SELECT rolname INTO reader FROM pg_roles WHERE rolname = 'pg_read_all_data' OR
      (NOT rolsuper AND oid = (SELECT datdba FROM pg_database WHERE datname = current_database()))
      ORDER BY rolname = 'pg_read_all_data' DESC LIMIT 1;
    IF reader IS NOT NULL THEN
      PERFORM set_config('role', reader, true);
    END IF;
  END IF;
  PERFORM set_config('row_security', 'off', true);
  SELECT string_agg(DISTINCT proname, ', ') INTO refused FROM pg_proc WHERE proname = ANY (named) AND provolatile = 'v'
    AND NOT (pronamespace = 'pg_catalog'::regnamespace AND proname = ANY (harmless));
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'it calls %, which may do more than read', refused;
  END IF;
  OPEN answer FOR EXECUTE statement USING bound;
  LOOP
    FETCH answer INTO one;
    EXIT WHEN NOT FOUND;
    line := row_to_json(one)::text;
    size := size + octet_length(line);
    cut := coalesce(array_length(told, 1), 0) >= {rows} OR size > {bytes};
    EXIT WHEN cut;
    told := told || line::json;
  END LOOP;
  CLOSE answer;
  PERFORM set_config('runbook_ops.answer', json_build_object('rows', to_json(told), 'cut', cut)::text, true);
END
$runbook_ops$;
SELECT current_setting('runbook_ops.answer');
ROLLBACK;
"""


class QueryError(Exception):
    """A statement cannot be asked; the message says why in one line."""


class Named(NamedTuple):
    """A statement whose parameters are places in one bound array."""

    text: str
    values: tuple[str | None, ...]
    parameters: frozenset[str]  # those that it names
    functions: tuple[str, ...]  # names that stand before a bracket


def name_parameters(statement: str, values: Mapping[str, tuple[str, str | None]]) -> Named:
    """Return ``statement`` with each ``:name`` replaced by its place among the bound values.

    :param values: type of SQL and text of each parameter
    :raises QueryError: it names a parameter that there is not, or does not end.
    """
    places = {name: f"(($1::text[])[{place}]::{values[name][0]})" for place, name in enumerate(values, 1)}
    told: list[str] = []
    used: set[str] = set()
    functions: set[str] = set()
    before: list[str] = ["", ""]  # the last two pieces that count
    try:
        for kind, text in _pieces(statement.strip().rstrip(";").strip()):
            if kind in ("blank", "comment"):
                told.append(" ")  # as SQL reads it
                continue
            if kind == "word" and before[1] == ":" and before[0] != ":" and told[-1] == ":":
                if text not in places:
                    raise QueryError(f"there is no parameter :{text}; known are {', '.join(places)}")
                told[-1] = places[text]
                used.add(text)
            else:
                told.append(text)
            if text == "(" and before[1]:
                functions.add(before[1])
            if kind == "quoted" and before[1] == "&":
                raise QueryError("names are written plainly here, without U&")
            before = [before[1], _name(kind, text)]
    except SqlError as exc:
        raise QueryError(str(exc)) from exc
    return Named(
        "".join(told), tuple(text for _kind, text in values.values()), frozenset(used), tuple(sorted(functions))
    )


def _pieces(statement: str) -> list[tuple[str, str]]:
    """Return kind and text of everything in ``statement``, in order."""
    found, at = [], 0
    while at < len(statement):
        met = PIECE.match(statement, at)
        if not met:
            raise SqlError("it is no SQL")
        kind, end = str(met.lastgroup), met.end()
        if kind == "comment":
            end = after_comment(statement, at)
        elif kind == "dollar":
            end = statement.find(met[0], end) + len(met[0])
            if end < met.end() + len(met[0]):
                raise SqlError(f"the quote {met[0]} does not end")
        elif kind == "mark" and met[0] in "'\"":
            raise SqlError(f"the quote {met[0]} does not end")
        found.append((kind, statement[at:end]))
        at = end
    return found


def _name(kind: str, text: str) -> str:
    """Return a name as the server keeps it; of what is none, its last sign."""
    if kind == "quoted":
        return text[1:-1].replace('""', '"')
    return text.lower() if kind == "word" else text[-1:]


def script(query: Named, *, seconds: float, rows: int = MOST_ROWS) -> str:
    """Return what psql is told: it prints one line of JSON, ``rows`` and whether it was ``cut``.

    :param seconds: after which the server ends it
    """
    return SCRIPT.format(
        statement=query.text.encode().hex(),
        bound=_hex(query.values),
        named=_hex(query.functions),
        harmless=_hex(HARMLESS),
        rows=int(rows),
        milliseconds=max(1, int(seconds * 1000)),
        bytes=MOST_BYTES,
    )


def _hex(values: Any) -> str:
    return json.dumps(list(values)).encode().hex()


def typed(name: str, value: Any) -> tuple[str, str | None]:
    """Return type of SQL and text of the value of a parameter.

    :raises QueryError: the name or the value cannot be one.
    """
    if not NAME.fullmatch(name):
        raise QueryError(f"{name!r} is no name of a parameter: write small letters, digits and _")
    if value is None or isinstance(value, bool):
        return "boolean" if isinstance(value, bool) else "text", None if value is None else str(value).lower()
    if isinstance(value, (int, float)):
        return ("bigint" if isinstance(value, int) else "double precision"), repr(value)
    if isinstance(value, str):
        return "text", value
    raise QueryError(f"the parameter {name} must be text, a number, true, false or null")
