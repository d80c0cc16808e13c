# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Point in time with pgBackRest: backups young enough, the archive without gaps, and how much would be lost now. Private to this collection."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import PgBackRestError, newest, parse_target
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_info import read_info
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest_segments import first_needed, gaps, read_segments
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import Done, last_line, run_program
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration
from ansible_collections.runbook.ops.plugins.module_utils.probes.postgresql import find_psql, reason

SECTION = "Backups"
OPTIONS = {
    "stanza": Option("str", "the stanza of pgBackRest", required=True),
    "config": Option("str", "configuration of pgBackRest, where it is not in its usual place"),
    "host": Option("str", "directory of the server's socket; without it the usual one"),
    "port": Option("int", "port of the server", 5432),
    "superuser": Option("str", "account on the host that the server and pgBackRest run as", "postgres"),
    "max_age_seconds": Option("float", "the newest backup must be younger", 93600.0),
    "max_full_age_seconds": Option("float", "the newest full backup must be younger; without it none is asked for"),
    "lost_seconds": Option("limits", "how much would be lost if the host were gone now", limits(300, 900)),
    "max_drill_age_seconds": Option(
        "float", "the last recovery, for a test or not, must be younger; without it none is asked for"
    ),
    "journal_directory": Option("str", "where pgbackrest_restore keeps what it did", "/var/lib/runbook-ops/restores"),
    "look_for_gaps": Option("bool", "list the archive, and look for WAL that is missing in it", True),
}
QUERY = """
SELECT json_build_object(
  'archive_mode', current_setting('archive_mode'),
  'archive_timeout_seconds', extract(epoch FROM current_setting('archive_timeout')::interval),
  'waiting', (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
  'waiting_seconds', (SELECT extract(epoch FROM clock_timestamp() - min(modification))
    FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
  'archived_seconds', (SELECT extract(epoch FROM clock_timestamp() - last_archived_time) FROM pg_stat_archiver),
  'failing', (SELECT CASE WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN last_failed_wal END
    FROM pg_stat_archiver),
  'standby', pg_is_in_recovery(),
  'segment_bytes', pg_size_bytes(current_setting('wal_segment_size')),
  'system_identifier', (SELECT system_identifier::text FROM pg_control_system()));
"""


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return what repository and server tell. What one of them does not tell is None, and ``said`` is why."""
    now = time.time()
    done = _pgbackrest(options, "info", "--output=json")
    if done.code:
        raise ProbeError(
            f"pgBackRest did not tell: {last_line(done.err)}",
            f"run it by hand: pgbackrest --stanza={options['stanza']} info",
        )
    try:
        stanza = read_info(done.out, options["stanza"])
        last, full = newest(stanza), newest(stanza, full=True)
        server = _server(options)
        return {
            "exists": stanza.exists,
            "message": stanza.message.splitlines()[0] if stanza.message else "",
            "backups": len(stanza.backups),
            "label": last.label if last else None,
            "age_seconds": now - last.stopped_at if last else None,
            "full_age_seconds": now - full.stopped_at if full else None,
            "gaps": _gaps(options, stanza, server) if options["look_for_gaps"] and stanza.backups else [],
            "drill_age_seconds": _drill_age(options, now) if options["max_drill_age_seconds"] is not None else None,
            "same": not server.get("system_identifier") or server["system_identifier"] == stanza.system_identifier,
            **server,
        }
    except PgBackRestError as exc:
        raise ProbeError(str(exc)) from exc


def _pgbackrest(options: dict[str, Any], *arguments: str) -> Done:
    config = [f"--config={options['config']}"] if options["config"] else []
    argv = [
        "pgbackrest",
        *config,
        f"--stanza={options['stanza']}",
        "--log-level-console=off",
        "--log-level-stderr=warn",
    ]
    return run_program([*argv, *arguments], user=options["superuser"], timeout_seconds=options["timeout_seconds"])


def _gaps(options: dict[str, Any], stanza: Any, server: dict[str, Any]) -> list[str]:
    done = _pgbackrest(options, "repo-ls", "--recurse", "--output=json", f"archive/{stanza.name}/{stanza.archive_id}")
    if done.code:
        raise ProbeError(f"pgBackRest did not list the archive: {last_line(done.err)}")
    size = {"segment_bytes": server["segment_bytes"]} if server.get("segment_bytes") else {}
    return [name for name, _at in gaps(read_segments(done.out), after=first_needed(stanza.backups), **size)]


def _drill_age(options: dict[str, Any], now: float) -> float | None:
    """Return how long ago a recovery succeeded; None where none did."""
    import json  # noqa: PLC0415  # only who asks for it needs it

    path = f"{options['journal_directory']}/{options['stanza']}@point-in-time.json"
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  # pathlib would be slower
            at = json.load(file).get("recovered_at")
        return now - parse_target(at).timestamp() if at else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, PgBackRestError) as exc:
        raise ProbeError(f"{path} does not tell when a recovery succeeded: {exc}") from exc


def _server(options: dict[str, Any]) -> dict[str, Any]:
    environment = {"PGPORT": str(options["port"]), "PGUSER": options["superuser"], "PGDATABASE": "postgres"}
    if options["host"]:
        environment["PGHOST"] = options["host"]
    done = run_program(
        [find_psql(), "-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"],
        stdin=QUERY,
        user=options["superuser"],
        environment={**environment, "PGCONNECT_TIMEOUT": str(max(2, int(options["timeout_seconds"])))},
        timeout_seconds=options["timeout_seconds"],
    )
    if done.code:
        return {"said": reason(done.err)}
    import json  # noqa: PLC0415  # loaded while psql works

    return {"said": None, **json.loads(done.out)}


def lost_seconds(measured: dict[str, Any]) -> float | None:
    """Return how old the oldest commit may be that is not in the archive; None where nobody knows.

    A server with ``archive_timeout`` closes a segment with something in it after that time; one that is closed waits for the archiver.
    """
    timeout, archived = measured["archive_timeout_seconds"], measured["archived_seconds"]
    if measured["waiting"]:
        return float((measured["waiting_seconds"] or 0) + timeout)
    if not timeout:
        return archived if archived is None else float(archived)
    return float(timeout if archived is None else min(archived, timeout))


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of the newest backup, of the newest full one where asked for, of the archive, and of what would be lost now."""
    checks = [_judge_backup(measured, options)]
    if options["max_full_age_seconds"] is not None and measured["backups"]:
        checks.append(_judge_full(measured, options))
    if options["max_drill_age_seconds"] is not None:
        checks.append(_judge_drill(measured, options))
    checks.append(_judge_archive(measured, options))
    if measured["said"] is None and not measured["standby"] and measured["archive_mode"] != "off":
        checks.append(_judge_lost(measured, options))
    return checks


def _judge_backup(measured: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    most, age, status = options["max_age_seconds"], measured["age_seconds"], "ok"
    remedy = "run the playbook point_in_time_backup, and read why its timer did not make one"
    if not measured["exists"]:
        status, detail = "critical", f"the repository has no such stanza: {measured['message']}"
    elif age is None:
        status, detail = "critical", "there is no whole backup: no moment can be recovered"
    else:
        age = round(age)
        detail = f"{measured['label']}, {human_duration(max(0, age))} old, {measured['backups']} in all"
        if age > most:
            status, detail = "critical", f"{detail}, at most {human_duration(most)}"
    if not measured["same"]:
        status, detail = "critical", "the backups are of another cluster than the one that runs"
        remedy = "was the cluster made anew? then give its stanza another name, or run pgbackrest stanza-upgrade"
    return _check(options, "backup", status=status, value=age, unit="s", limit=most, detail=detail, remedy=remedy)


def _judge_full(measured: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    most, age = options["max_full_age_seconds"], measured["full_age_seconds"]
    if age is None:
        status, detail = "critical", "there is no full one, on which all the others rest"
    else:
        age = round(age)
        status, detail = ("ok" if age <= most else "critical"), f"{human_duration(max(0, age))} old"
    remedy = "run the playbook point_in_time_backup with -e pgbackrest_type=full"
    return _check(options, "full backup", status=status, value=age, unit="s", limit=most, detail=detail, remedy=remedy)


def _judge_drill(measured: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    most, age = options["max_drill_age_seconds"], measured["drill_age_seconds"]
    if age is None:
        status, detail = "critical", "it was never recovered to a moment: nobody knows whether it can be"
    else:
        age = round(age)
        status, detail = ("ok" if age <= most else "critical"), f"recovered {human_duration(max(0, age))} ago"
    remedy = "run the playbook point_in_time_restore with -e point_in_time_state=tested"
    return _check(options, "drill", status=status, value=age, unit="s", limit=most, detail=detail, remedy=remedy)


def _judge_archive(measured: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    status, remedy = "ok", "read the server's log: it says why archive_command fails"
    if measured["gaps"]:
        more = f", and {len(measured['gaps']) - 1} more" if len(measured["gaps"]) > 1 else ""
        status = "critical"
        detail = f"{measured['gaps'][0]} is missing{more}: no moment between it and the next backup can be recovered"
        remedy = "make a backup now: what comes after it can be recovered again"
    elif measured["said"] is not None:
        status, detail, remedy = (
            "unknown",
            f"the server does not tell: {measured['said']}",
            "start it, or correct port and superuser",
        )
    elif measured["archive_mode"] == "off":
        status, detail, remedy = (
            "critical",
            "archive_mode is off: nothing is archived",
            "run the playbook point_in_time_backup",
        )
    elif measured["failing"]:
        status, detail = (
            "critical",
            f"{measured['failing']} cannot be archived; {measured['waiting']} segments wait, and fill the disk",
        )
    else:
        detail = "without gaps" if options["look_for_gaps"] else "it goes on"
    return _check(
        options, "archive", status=status, value=len(measured["gaps"]), unit="gaps", detail=detail, remedy=remedy
    )


def _judge_lost(measured: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    lost, bounds = lost_seconds(measured), options["lost_seconds"]
    remedy = "see why the archive lags: the server's log, the network, the storage"
    if lost is None:
        detail = "no segment of WAL has been archived since the server's statistics began"
        return _check(options, "loss", status="unknown", detail=detail, remedy=remedy)
    status, limit = judge_high(lost, bounds["warning"], bounds["critical"])
    detail = f"at most the last {human_duration(lost)} would be lost now"
    if measured["waiting"]:
        detail += f"; {measured['waiting']} segments wait"
    return _check(
        options, "loss", status=status, value=round(lost), unit="s", limit=limit, detail=detail, remedy=remedy
    )


def _check(options: dict[str, Any], what: str, **told: Any) -> dict[str, Any]:
    name = options["name"] or options["stanza"]
    identity = f"pgbackrest:{options['stanza']}:{what.replace(' ', '_')}"
    return make_check(identity, name=f"{name} {what}", section=options["section"], **told)
