# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a PostgreSQL database, so that a backup can say it and a restore be held against it. Private to this collection."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_literal
from ansible_collections.runbook.ops.plugins.module_utils._pg_content_sql import COUNTS, HEAD
from ansible_collections.runbook.ops.plugins.module_utils._pg_target import PgTarget, tool_error
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, run_pipeline

MOST_DIFFERENCES = 20
LOCK_SECONDS = 60
# Beside a dump, which takes all processors: parallel workers and compiling make a count quicker, and dearer.
MODEST = "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off;"
PARENTHESES = str.maketrans("", "", "()")
CAST = re.compile(
    r"""::(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)(?:\.(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*))?  # name of a type, maybe of a schema
    (?:[ ](?:varying|precision))?(?:[ ]?\(\d+(?:,\d+)?\))?(?:[ ]with(?:out)?[ ]time[ ]zone)?(?:\[\d*\])*""",
    re.VERBOSE,
)


def read_content(
    target: PgTarget, database: str, *, snapshot: str | None = None, timeout_seconds: float = 3600
) -> dict[str, Any]:
    """Return what is in ``database``: its settings, objects and schema, and all rows counted, in one snapshot.

    Sequences know no snapshots: they are as they are now.

    :param snapshot: one that another session has exported, and holds until this returns
    :param timeout_seconds: for each table, and for the schema
    :raises PgError: the server does not tell, or a table may not be read.
    """
    moment = f"SET TRANSACTION SNAPSHOT {quote_literal(snapshot)};\n{MODEST}" if snapshot else ""
    lines = target.sql(
        database,
        # A policy that hides rows from us must be an error, as it is for pg_dump.
        f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n{moment}\nSET LOCAL row_security = off;\n{HEAD}{COUNTS}COMMIT;\n",
        timeout_seconds=timeout_seconds,
        lock_timeout_seconds=LOCK_SECONDS,
    )
    content: dict[str, Any] = {**json.loads(lines[0]), "tables": {}, "sequences": {}}
    for line in lines[1:]:
        kind, name, *values = json.loads(line)
        content["tables" if kind == "table" else "sequences"][name] = values[0] if kind == "table" else values
    return {**content, **schema_hash(target, database, snapshot=snapshot, timeout_seconds=timeout_seconds)}


def schema_hash(
    target: PgTarget, database: str, *, snapshot: str | None = None, timeout_seconds: float = 3600
) -> dict[str, Any]:
    """Return ``schema_sha256``, and in ``schema_by`` the versions that it holds for: of the server, and of pg_dump.

    :raises PgError: the schema cannot be read.
    """
    options = ["--schema-only", "--no-subscriptions", *([f"--snapshot={snapshot}"] if snapshot else [])]
    try:
        stage = target.stage("pg_dump", *options, database=database)
        done = run_pipeline([stage], timeout_seconds=timeout_seconds)
    except PipelineError as exc:
        raise tool_error(exc, database) from exc
    written_by = re.search(r"^-- Dumped by pg_dump version (\d+)", done.text, re.MULTILINE)
    return {
        "schema_sha256": hashlib.sha256("\n".join(normalised(done.text)).encode("utf-8")).hexdigest(),
        "schema_by": [target.versions() // 10000, int(written_by[1]) if written_by else 0],
    }


def normalised(schema: str) -> Iterator[str]:
    """Yield the lines of a schema as pg_dump writes it, without what a restore changes.

    What PostgreSQL prints of an expression and reads again is not always printed the same: ``x IN ('a', 'b')`` moves its
    casts. So casts and parentheses do not count; names, constants, operators and their order do.
    """
    for line in CAST.sub("", schema).split("\n"):
        words = "".join(line.translate(PARENTHESES).split())
        if words and not line.startswith(("--", "SET ", "\\restrict ", "\\unrestrict ")):
            yield words


def compare(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return in words what of ``expected`` is not ``found``, at most :data:`MOST_DIFFERENCES`; nothing: they are the same.

    What ``expected`` does not tell is not compared.
    """
    differences = [*_settings(expected, found), *_tables(expected, found), *_sequences(expected, found)]
    objects = found.get("objects", {})
    for kind, number in sorted(expected.get("objects", {}).items()):
        if kind in objects and objects[kind] != number:
            differences.append(f"{objects[kind]} {kind} instead of {number}")
    if "large_objects" in expected and expected["large_objects"] != found.get("large_objects"):
        differences.append(f"{found.get('large_objects')} large objects instead of {expected['large_objects']}")
    same_words = expected.get("schema_by") == found.get("schema_by")
    if "schema_sha256" in expected and same_words and expected["schema_sha256"] != found.get("schema_sha256"):
        differences.append("the schema is not the same: compare what pg_dump --schema-only prints")
    if len(differences) > MOST_DIFFERENCES:
        left = len(differences) - MOST_DIFFERENCES + 1
        return [*differences[: MOST_DIFFERENCES - 1], f"and {left} more differences"]
    return differences


def _settings(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for key in ("encoding", "collate", "ctype", "provider", "locale"):
        if key in expected and expected[key] != found.get(key):
            yield f"{key} is {found.get(key)} instead of {expected[key]}"
    # Another version of an extension comes with other packages, and is no loss.
    for name in sorted(set(expected.get("extensions", ())) - set(found.get("extensions", ()))):
        yield f"extension {name} is missing"


def _tables(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    if "tables" not in expected:
        return
    before, after = expected["tables"], found.get("tables", {})
    for name in sorted(set(before) | set(after)):
        if name not in after:
            yield f"table {name} is missing, with {before[name]} rows"
        elif name not in before:
            yield f"table {name} is not in the backup's manifest"
        elif before[name] != after[name]:
            yield f"table {name} has {after[name]} rows instead of {before[name]}"


def _sequences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    if "sequences" not in expected:
        return
    before, after = expected["sequences"], found.get("sequences", {})
    for name in sorted(set(before) | set(after)):
        if name not in after:
            yield f"sequence {name} is missing"
        elif name not in before:
            yield f"sequence {name} is not in the backup's manifest"
        elif list(before[name]) != list(after[name]):
            yield f"sequence {name} stands at {_position(after[name])} instead of {_position(before[name])}"


def _position(value: list[Any]) -> str:
    return f"{value[0]}{'' if value[1] else ' (not used yet)'}"
