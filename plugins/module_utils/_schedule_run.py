# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs the jobs of a calendar on a machine, in one file. Private to this collection.

``run CONFIG JOB`` runs one and keeps what became of it, ``due CONFIG`` (for cron) starts those that are due, ``list CONFIG`` says what runs
when and what became of it, ``check CONFIG`` only reads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils import _lock_file
from ansible_collections.runbook.ops.plugins.module_utils._account import AccountError, account_of, run
from ansible_collections.runbook.ops.plugins.module_utils._schedule import SPARE, STATE, jobs_of
from ansible_collections.runbook.ops.plugins.module_utils._schedule_state import due_now, judge_entry, written_at
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

FAILED, WRONG = 1, 2
LOGS = "RUNBOOK_OPS_SCHEDULE_LOG"  # says that nobody else keeps what a job says
USAGE = "usage: schedule run CONFIG JOB | due CONFIG | list CONFIG | check CONFIG"


class Places(NamedTuple):
    """Where is written what became of the jobs: on the disk, and in memory where that is full."""

    kept: Path
    spare: Path

    @classmethod
    def of(cls, system: str, root: str) -> Places:
        """Return those of a system."""
        return cls(Path(root, STATE, system), Path(root, SPARE, system))


def main(arguments: Sequence[str], *, root: str = "/") -> int:
    """Do what ``arguments`` say; return the exit status."""
    verb, path = (*arguments, "", "")[:2]
    if verb not in ("run", "due", "list", "check") or not path or (verb == "run") != (len(arguments) == 3):
        print_line(USAGE, to=sys.stderr)
        return WRONG
    try:
        config = json.loads(Path(path).read_text(encoding="utf-8"))
        places = Places.of(config["system"], root)
        if verb == "check":
            for slug, entry in config["entries"].items():
                judge_entry(slug, entry, config, {}, since=_now(), now=_now())
            return 0
        if verb == "list":
            return show(config, places, since=installed_at(Path(path)))
        make_readable(places.kept)
        return run_job(config, places, arguments[2]) if verb == "run" else start_due(config, places, Path(path))
    except (OSError, ValueError, KeyError) as exc:
        print_line(f"schedule: {path}: {exc}", to=sys.stderr)
        return FAILED


def print_line(text: str, to: Any = None) -> None:
    """Say one line, at once: the journal is read while a job runs."""
    stream = to or sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


def installed_at(path: Path) -> datetime:
    """Return since when this configuration is in use."""
    return datetime.fromtimestamp(path.stat().st_mtime, tz=timezone.utc)


def make_readable(folder: Path) -> None:
    """Make a directory that everybody may look into, whatever the umask is: results hold no secret."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder.parent, folder):
        with suppress(PermissionError):
            path.chmod(0o755)


def read_results(places: Places) -> dict[str, dict[str, Any]]:
    """Return what became of each job the last time; of one that was killed, that."""
    found: dict[str, dict[str, Any]] = {}
    for path in (*sorted(places.kept.glob("*.json")), *sorted(places.spare.glob("*.json"))):
        with suppress(OSError, ValueError):
            result = json.loads(path.read_text(encoding="utf-8"))
            if _age(result) >= _age(found.get(path.stem, {})):
                found[path.stem] = result
    return {slug: settled(result) for slug, result in found.items()}


def _age(result: Mapping[str, Any]) -> tuple[str, str]:
    return result.get("started_at") or "", result.get("ended_at") or ""


def settled(result: dict[str, Any]) -> dict[str, Any]:
    """Return ``result``, as interrupted where it says that it runs and its process is gone."""
    if result.get("status") == "running" and _born(result.get("pid")) != result.get("born"):
        return {**result, "status": "interrupted", "message": "it was killed, or the machine went down"}
    return result


def run_job(config: Mapping[str, Any], places: Places, slug: str) -> int:
    """Run a job to its end, unless it runs already."""
    job = jobs_of(config).get(slug)
    if job is None:
        print_line(f"schedule: there is no job {slug!r}", to=sys.stderr)
        return WRONG
    try:
        handle = _lock_file.take(places.kept / f".{slug}.lock")
    except _lock_file.HeldError as exc:
        print_line(f"{job['name']} runs already ({exc}): nothing was started")
        return 0
    try:
        if os.environ.get(LOGS):
            _keep_output(places.kept / f"{slug}.log")
        return _run(config, places, slug, job)
    finally:
        os.close(handle)


def _keep_output(path: Path) -> None:
    """Let all that is said from here on be in ``path``, for root only as in the journal; that of the last run goes."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:  # a full disk must not keep the job from running
        return
    os.fchmod(handle, 0o600)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.close(handle)


def _run(config: Mapping[str, Any], places: Places, slug: str, job: Mapping[str, Any]) -> int:
    began = time.monotonic()
    told: dict[str, Any] = {"name": job["name"], "playbook": job["playbook"], "status": "running"}
    told.update(
        started_at=written_at(_now()), ended_at=None, code=None, message="", pid=os.getpid(), born=_born(os.getpid())
    )
    _keep(places, slug, told)
    code = None
    try:
        account = account_of(config["user"])
        with os.fdopen(os.dup(1), "wb", buffering=0) as log:
            code, output = run(
                account,
                job["argv"],
                cwd=config["directory"],
                environment=config["environment"],
                seconds=job["timeout_seconds"],
                log=log,
            )
        status = "timed out" if code is None else "failed" if code else "ok"
        message = {"timed out": f"ended after {job['timeout_seconds']} s", "ok": ""}.get(status, _reason(code, output))
    except (AccountError, OSError) as exc:
        status, message = "failed", str(exc)
    seconds = round(time.monotonic() - began, 1)
    _keep(
        places,
        slug,
        {
            **told,
            "status": status,
            "code": code,
            "message": message[:500],
            "ended_at": written_at(_now()),
            "seconds": seconds,
        },
    )
    print_line(f"{job['name']}: {status} after {seconds} s{f': {message}' if message else ''}")
    return 0 if status == "ok" else FAILED


def _reason(code: int | None, output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "ERROR", "[ERROR]"))] or lines[-1:]
    return f"exit status {code}: {told[0] if told else 'no word'}"


def _keep(places: Places, slug: str, told: Mapping[str, Any]) -> None:
    """Write what became of a job. A full disk keeps no job from running, and has none run again each minute: memory knows of it."""
    content, spare = (json.dumps(told, sort_keys=True) + "\n").encode(), places.spare / f"{slug}.json"
    try:
        replace_file(places.kept / spare.name, content, mode=0o644)
    except OSError as exc:
        print_line(f"schedule: {exc.filename}: {exc.strerror}", to=sys.stderr)
        with suppress(OSError):
            make_readable(places.spare)
            replace_file(spare, content, mode=0o644)
    else:
        with suppress(OSError):
            spare.unlink(missing_ok=True)


def start_due(config: Mapping[str, Any], places: Places, path: Path) -> int:
    """Start the jobs that are due, each by itself, and do not wait for them."""
    results = read_results(places)
    busy = {slug for slug, result in results.items() if result.get("status") == "running"}
    for slug in due_now(config, results, since=installed_at(path), now=_now()):
        if slug not in busy:
            command = [sys.executable, "-I", sys.argv[0], "run", str(path), slug]
            quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
            subprocess.Popen(command, **quiet, env={**os.environ, LOGS: "1"}, start_new_session=True)  # type: ignore[call-overload]
    return 0


def show(config: Mapping[str, Any], places: Places, *, since: datetime) -> int:
    """Say of each entry what runs when, and what became of it."""
    results = read_results(places)
    for slug, entry in config["entries"].items():
        if entry["done_by"]:
            print_line(f"     {entry['name']}: done by {entry['done_by']}")
            continue
        check = judge_entry(slug, entry, config, results.get(slug, {}), since=since, now=_now())
        print_line(f"{'ok  ' if check['status'] == 'ok' else 'BAD '} {entry['name']}: {check['detail']}")
    return 0


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _born(pid: Any) -> str | None:
    """Return when a process was started, as the kernel counts it; None where there is none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path(f'/proc/{int(pid)}/stat').read_text(encoding='utf-8').rpartition(')')[2].split()[19]}"
    except (OSError, ValueError, TypeError, IndexError):
        return None
