# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the record of a run says, and how it grows. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import worst_status

SCHEMA = 1
KINDS: dict[str, type] = {
    **dict.fromkeys(("id", "playbook", "system", "status", "started_at", "process"), str),
    **dict.fromkeys(("hosts", "checks", "changes"), list),
    "who": dict,
}
HIDDEN = "(hidden)"
NAMES = r"(?:password|passwd|passphrase|secret|token|api[_-]?key)"
ASSIGNED = re.compile(rf"(?i)(\b[\w-]*{NAMES}[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&]+)")
IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+(@)", re.IGNORECASE)
BEARER = re.compile(r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}")


def is_record(told: Any) -> bool:
    """Return whether ``told`` is a record of this version, as far as it is needed to go on with it."""
    return (
        isinstance(told, dict)
        and told.get("schema") == SCHEMA
        and all(isinstance(told.get(key), kind) for key, kind in KINDS.items())
        and "controller" in told["who"]
        and all(isinstance(entry, dict) and "host" in entry and "status" in entry for entry in told["hosts"])
        and all(isinstance(item, dict) and "host" in item for item in (*told["checks"], *told["changes"]))
    )


def file_name(run: Mapping[str, Any]) -> str:
    """Return the name of the file that records ``run``: names sort by time."""
    started = re.sub(r"[-:]", "", run["started_at"])
    return f"{started}-{run['playbook']}-{run['id']}.json"


def opened(
    record: Mapping[str, Any] | None, run: Mapping[str, Any], *, system: str, host: str, hosts: Iterable[str], at: str
) -> dict[str, Any]:
    """Return the record of ``run`` once ``host`` is at work. A further play of the same run opens it again.

    :param record: what is recorded so far
    :param hosts: all hosts that are expected to take part
    :param at: the time, ISO 8601 in UTC
    """
    told = dict(record or _blank(run, system))
    entries = {entry["host"]: dict(entry) for entry in told["hosts"]}
    for name in hosts:
        entries.setdefault(name, {"host": name, "status": "waiting", "started_at": None, "ended_at": None})
    before = entries.get(host) or {}
    entries[host] = {"host": host, "status": "running", "started_at": before.get("started_at") or at, "ended_at": None}
    return _summed({**told, "hosts": list(entries.values()), "interruption": None}, at)


def closed(
    record: Mapping[str, Any], *, host: str, status: str, summary: Mapping[str, Any], lost: Iterable[str], at: str
) -> dict[str, Any]:
    """Return ``record`` once ``host`` has ended with ``status``.

    :param summary: the checks, changes and failure of ``host``
    :param lost: hosts that cannot be waited for any more: they failed or were unreachable
    """
    entries, missing = [], []
    for entry in record["hosts"]:
        if entry["host"] == host:
            entries.append({**entry, "status": status, "ended_at": at})
        elif entry["host"] in lost and entry["status"] in ("waiting", "running"):
            entries.append({**entry, "status": "failed", "ended_at": at})
            missing.append({"host": entry["host"], "task": None, "message": "it failed early, or was unreachable"})
        else:
            entries.append(entry)
    told = {**record, "hosts": entries, "interruption": None}
    for part in ("checks", "changes"):
        others = [item for item in record[part] if item["host"] != host]
        told[part] = others + [{"host": host, **item} for item in summary[part]]
    own = [{"host": host, **summary["failure"]}] if summary.get("failure") else []
    told["failure"] = _first_known([record["failure"], *own, *missing])
    return _summed(told, at)


def interrupted(record: Mapping[str, Any], *, reason: str, by: str, at: str) -> dict[str, Any]:
    """Return ``record`` of a run that ended without a word: when it ended is not known."""
    entries = [
        {**entry, "status": "interrupted"} if entry["status"] in ("waiting", "running") else entry
        for entry in record["hosts"]
    ]
    found = {"reason": reason, "found_by": by, "found_at": at}
    return {
        **record,
        "status": "interrupted",
        "ended_at": None,
        "seconds": None,
        "hosts": entries,
        "interruption": found,
    }


def abandoned(
    other: Mapping[str, Any], run: Mapping[str, Any], *, gone: bool | None, lease_seconds: float, at: str
) -> str | None:
    """Return why the open record ``other`` must be that of an interrupted run; None where it may be at work.

    :param run: the run that asks
    :param gone: whether its process has ended; None where that cannot be told from this controller
    """
    if gone is not None:
        return f"its process on {other['controller']} is gone" if gone else None
    if _seconds(other["started_at"], at) > lease_seconds:
        return f"it began more than {lease_seconds / 3600:g} h ago on {other['controller']}"
    if other["playbook"] == run["playbook"]:
        return f"{run['playbook']} was started again from {run['controller']}"
    return None


def redact(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Return ``value`` without ``secrets`` and without what looks like one, however deep."""
    if isinstance(value, Mapping):
        return {key: redact(item, secrets) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item, secrets) for item in value]
    if not isinstance(value, str):
        return value
    for secret in secrets:
        if len(secret) >= 4:  # a shorter one would blot out half of every text
            value = value.replace(secret, HIDDEN)
    value = BEARER.sub(rf"\1{HIDDEN}", ASSIGNED.sub(rf"\1{HIDDEN}", value))
    return IN_URL.sub(rf"\1{HIDDEN}\2", value)


def _first_known(failures: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Return the first failure of a known task, or else the first one."""
    told = [failure for failure in failures if failure]
    return next((failure for failure in told if failure["task"]), told[0] if told else None)


def _blank(run: Mapping[str, Any], system: str) -> dict[str, Any]:
    who = {key: run.get(key) for key in ("user", "controller", "awx_job_id", "awx_user", "schedule_entry")}
    return {
        "schema": SCHEMA,
        "id": run["id"],
        "playbook": run["playbook"],
        "system": system,
        "status": "running",
        "check_status": "ok",
        "started_at": run["started_at"],
        "ended_at": None,
        "seconds": None,
        "check_mode": False,  # a run in check mode leaves no record
        "who": who,
        "process": run["process"],
        "versions": dict(run["versions"]),
        "hosts": [],
        "left_out": list(run.get("left_out") or []),
        "checks": [],
        "changes": [],
        "failure": None,
        "interruption": None,
    }


def _summed(record: dict[str, Any], at: str) -> dict[str, Any]:
    """Return ``record`` with what follows from its hosts and checks."""
    each = [entry["status"] for entry in record["hosts"]]
    failed, busy = "failed" in each, "running" in each or "waiting" in each
    status = "failed" if failed else "running" if busy else "ok"
    ended = status != "running"
    return {
        **record,
        "status": status,
        "check_status": worst_status(record["checks"]),
        "ended_at": at if ended else None,
        "seconds": _seconds(record["started_at"], at) if ended else None,
    }


def _seconds(start: str, end: str) -> float:
    return max(0.0, round((_moment(end) - _moment(start)).total_seconds(), 1))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
