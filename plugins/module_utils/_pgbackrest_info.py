# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``pgbackrest info`` says of a stanza. Private to this collection."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import Backup, PgBackRestError, Stanza, read_lsn

UNREADABLE = 99  # pgBackRest's code for all else


def read_info(text: str, name: str) -> Stanza:
    """Return what ``pgbackrest info --output=json`` says of a stanza.

    :raises PgBackRestError: it is no such text.
    """
    try:
        found = [one for one in json.loads(text, strict=False) if one["name"] == name]
        return _stanza(found[0]) if found else Stanza(name, 1, "missing stanza path")
    except (ValueError, KeyError, TypeError, IndexError) as exc:
        raise PgBackRestError(f"pgbackrest info printed what this version does not know ({exc!r})") from exc


def _stanza(told: Mapping[str, Any]) -> Stanza:
    status, database = told["status"], (told["db"] or [{}])[-1]
    archives = [one for one in told["archive"] if one["database"]["id"] == database.get("id")]
    archive = archives[-1] if archives else {}
    return Stanza(
        name=told["name"],
        code=status["code"],
        message=_message(told),
        backups=tuple(_backup(one) for one in told["backup"] if one["database"]["id"] == database.get("id")),
        system_identifier=str(database["system-id"]) if "system-id" in database else None,
        version=database.get("version"),
        archive_id=archive.get("id"),
        busy=bool(status.get("lock", {}).get("backup", {}).get("held")),
        encrypted=told.get("cipher", "none") != "none",
    )


def _message(told: Mapping[str, Any]) -> str:
    """Return in one line what is wrong: the stanza says little, the repository more.

    What a wrong passphrase decrypts to is noise, and pgBackRest prints some of it.
    """
    said = [told["status"]["message"], *(one["status"]["message"] for one in told.get("repo") or [])]
    words = " ".join(max(said, key=len).replace("HINT:", ";").split())
    if told["status"]["code"] == UNREADABLE and told.get("cipher", "none") != "none":
        kind = re.search(r"\[?(\w+Error)\]?", words)
        return f"the passphrase of the configuration is not the one it was made with ({kind[1] if kind else 'not readable'})"
    return "".join(one for one in words if one.isprintable())[:300]


def _backup(told: Mapping[str, Any]) -> Backup:
    return Backup(
        label=told["label"],
        kind=told["type"],
        started_at=told["timestamp"]["start"],
        stopped_at=told["timestamp"]["stop"],
        wal_start=told["archive"]["start"] or "",
        stopped_lsn=read_lsn((told.get("lsn") or {}).get("stop") or "0/0"),
        size_bytes=told["info"]["size"],
        repository_bytes=told["info"]["repository"]["delta"],
        damaged=bool(told.get("error")),
    )
