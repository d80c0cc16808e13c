# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back this host up: what a timer runs at night, without Ansible. Private to this collection.

It does with the modules' own code what the playbook does. It may be killed anywhere: what is not whole has no backup's name, and the
next run removes it.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_job import Outcome, failures, log_lines, run_tasks
from ansible_collections.runbook.ops.plugins.module_utils._backup_job_index import CORES, complete
from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import TaskError, with_secrets

CONFIG, SECRETS = "/etc/runbook-ops/backup.json", "/etc/runbook-ops/backup.secrets.json"
LOCK = "/run/lock/runbook-ops-backup.lock"
LOG_BYTES = 1 << 20  # a log that is longer makes room for a new one


def run_job(
    config: Mapping[str, Any],
    secrets: Mapping[str, str],
    name: str,
    *,
    cores: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] | None = None,
    sleep: Callable[[float], Any] = time.sleep,
    let_others: Callable[[], Any] = lambda: None,
) -> list[Outcome]:
    """Do the tasks of the job ``name``, write its log, and return what came of each.

    :param let_others: lets the other jobs of this host begin: before a mirror, which may take hours and has a lock of its own
    :raises ValueError: there is no such job.
    """
    job = job_of(config, name)
    began = time.monotonic()

    def do(task: Mapping[str, Any]) -> Mapping[str, Any]:
        say(f"{task['module']} {task['set'] or task['name']}")
        if task["module"] == "bucket_sync":
            let_others()
        return (cores or CORES)[task["module"]](complete(task["module"], with_secrets(task, secrets)))

    outcomes = run_tasks(
        job["tasks"], do, attempts=config["attempts"], wait=lambda: _wait(config["retry_seconds"], sleep)
    )
    at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = log_lines(outcomes, job=name, success=job["success"], at=at, seconds=time.monotonic() - began)
    try:
        append(Path(job["log"]), lines)
    except OSError as exc:  # a disk without room for a line: the journal has it
        sys.stderr.write(f"backup: cannot write {job['log']}: {exc.strerror}\n")
    for line in lines:
        say(line)
    return outcomes


def job_of(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the job ``name``.

    :raises ValueError: there is none.
    """
    if name not in config["jobs"]:
        raise ValueError(f"there is no job {name!r}: use one of {', '.join(sorted(config['jobs']))}")
    return config["jobs"][name]


@contextmanager
def alone(path: str = LOCK) -> Iterator[Callable[[], None]]:
    """Wait until no other job of this host runs: two at a time take each other's disk, and so twice as long.

    What is given lets the next one begin before the end.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        say(f"cannot open {path} ({exc.strerror}): another job may run beside this one")
        yield lambda: None
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waits for another job of this host")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def _wait(seconds: float, sleep: Callable[[float], Any]) -> None:
    say(f"failed, again in {seconds:g} s")
    sleep(seconds)


def append(path: Path, lines: Sequence[str]) -> None:
    """Add ``lines`` to a log, which keeps its owner and mode; one that has grown long is moved to ``.1`` before."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    with os.fdopen(handle, "a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


def say(line: str) -> None:
    """Write a line to the journal, now."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def read_config(arguments: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return configuration and secrets from the two paths in ``arguments``, or from where they are installed.

    :raises ValueError: one of them is not what it must be.
    """
    both = []
    for path in [*arguments, *(CONFIG, SECRETS)[len(arguments) :]][:2]:
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as exc:
            raise ValueError(f"{path}: {exc.strerror}") from exc
        except ValueError as exc:
            raise ValueError(f"{path} is not JSON: {exc}") from exc
        if not isinstance(found, dict):
            raise ValueError(f"{path} is not a mapping")
        both.append(found)
    missing = {"jobs", "attempts", "retry_seconds"} - set(both[0])
    if missing:
        raise ValueError(f"the configuration lacks {', '.join(sorted(missing))}")
    return both[0], both[1]


def check_config(config: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    """Look whether every task of every job could begin.

    :raises ValueError: one could not, and why.
    """
    for name, job in config["jobs"].items():
        if not job["tasks"]:
            raise ValueError(f"the job {name} has no tasks")
        for task in job["tasks"]:
            complete(task["module"], with_secrets(task, secrets))


def main(arguments: Sequence[str]) -> int:
    """Run a job, check, or list the jobs: ``run NAME``, ``check [CONFIG SECRETS]``, ``list``."""
    verb = arguments[0] if arguments else "list"
    rest = list(arguments[1:])
    try:
        if verb == "run" and rest:
            config, secrets = read_config(rest[1:])
            with alone() as let_others:
                return 1 if failures(run_job(config, secrets, rest[0], let_others=let_others)) else 0
        if verb in ("check", "list"):
            config, secrets = read_config(rest)
            check_config(config, secrets)
            if verb == "list":
                for name, job in sorted(config["jobs"].items()):
                    say(f"{name}: {', '.join(dict.fromkeys(task['set'] or task['name'] for task in job['tasks']))}")
            return 0
        raise ValueError("say run NAME, check or list")
    except (TaskError, ValueError, TypeError, KeyError) as exc:
        sys.stderr.write(f"backup: {exc}\n")
        return 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
