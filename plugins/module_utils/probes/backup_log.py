# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a backup job: it succeeded lately, and told of no error since. Private to this collection."""

from __future__ import annotations

# ruff: noqa: PTH116, PTH123  # pathlib would be an import more, and this runs every few minutes
import os
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._log_files import (
    compile_patterns,
    last_line_with,
    matching_lines,
    with_rotated,
)
from ansible_collections.runbook.ops.plugins.module_utils._log_times import line_time, redact
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

SECTION = "Backups"
OPTIONS = {
    "path": Option("str", "file of the log; the one it was before its last rotation (.1) belongs to it", required=True),
    "success": Option("str", "text of the line that is written on success; case counts", required=True),
    "max_age_seconds": Option("float", "the last such line must be younger", required=True),
    "errors": Option(
        "list",
        "regular expressions, without regard to case, of lines that tell of an error",
        ["error", "fail", "no space left"],
    ),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the age of the last success, and the last of the lines after it that tell of an error."""
    try:
        pattern = compile_patterns(options["errors"])
    except ValueError as exc:
        raise ProbeError(str(exc), "correct errors") from exc
    paths, now = with_rotated(options["path"]), time.time()
    if not paths:
        raise ProbeError(f"{options['path']} does not exist", "see whether the backup job runs at all, or correct path")
    met, newer = None, []
    for path in reversed(paths):
        met = last_line_with(path, options["success"].encode())
        newer.append((path, met[0] + len(met[1]) if met else 0))
        if met:
            break
    errors = []
    for path, offset in reversed(newer):
        with open(path, "rb") as file:
            errors += [redact(line) for line in matching_lines(file, offset, os.stat(path).st_size, pattern)]
    written = line_time(met[1], now) if met else None
    return {
        "succeeded": met is not None,
        "age_seconds": None if written is None else now - written,
        "errors": len(errors),
        "last_error": errors[-1] if errors else None,
    }


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check."""
    age, most = measured["age_seconds"], options["max_age_seconds"]
    if not measured["succeeded"]:
        status, detail = "critical", f"no line says {options['success']!r}"
    elif age is None:
        status, detail = "unknown", f"the last line that says {options['success']!r} tells no time"
    else:
        status, detail = ("critical" if age > most else "ok"), f"succeeded {human_duration(max(0.0, age))} ago"
        detail += f", at most {human_duration(most)}" if age > most else ""
    if measured["errors"]:
        status = "warning" if status in ("ok", "unknown") else status
        detail += f"; {measured['errors']} lines tell of errors since, last: {measured['last_error']}"
    name = options["name"] or options["path"]
    return [
        make_check(
            f"backup-log:{name}",
            name=f"{name} log" if options["name"] else name,
            section=options["section"],
            status=status,
            value=None if age is None else round(age),
            unit="s",
            limit=most,
            detail=detail,
            remedy=f"read the end of {options['path']}, and run the job by hand",
        )
    ]
