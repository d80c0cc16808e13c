# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at this host, remember, tell: what the timer runs every few minutes, without Ansible. Private to this collection.

One run looks with all probes, decides what is to be told, saves both with one rename, then sends what waits. It may be killed
anywhere: the next one goes on from what was saved.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._change_lock import now as this_moment
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._health import _prepare as prepare
from ansible_collections.runbook.ops.plugins.module_utils._health import check_health
from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError, ask
from ansible_collections.runbook.ops.plugins.module_utils._monitor_alerts import Policy, follow
from ansible_collections.runbook.ops.plugins.module_utils._monitor_message import make_message, metrics, subject
from ansible_collections.runbook.ops.plugins.module_utils._monitor_outbox import (
    channel_checks,
    deliver,
    forget_channels,
    put,
)
from ansible_collections.runbook.ops.plugins.module_utils._monitor_silence import lasting, says
from ansible_collections.runbook.ops.plugins.module_utils._monitor_store import Store
from ansible_collections.runbook.ops.plugins.module_utils._notify import NotifyError, send
from ansible_collections.runbook.ops.plugins.module_utils._probe_index import PROBES
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

CONFIG, SECRETS = "/etc/runbook-ops/monitor.json", "/etc/runbook-ops/monitor.secrets.json"
DIRECTORY, RUNTIME = "/var/lib/runbook-ops/monitor", "/run/runbook-ops-monitor"
SEND_SECONDS = 30.0
HISTORY_SECONDS, HISTORY_DAYS = 3600.0, 30.0
Secrets = Mapping[str, Any]


def look_once(
    config: Mapping[str, Any], secrets: Secrets, store: Store, *, now: float, silent: bool = False
) -> list[str]:
    """Do one whole run, and return what went wrong with it, a line each.

    What the host is like is no such thing: that is told to the receivers.

    :param silent: this look counts neither for an alert nor for an all-clear, and reminds nobody
    """
    began = time.monotonic()
    state, channels = store.load(), sorted(config["channels"])
    forget_channels(state, channels)
    result = look(config, secrets)
    checks = [*result["checks"], *channel_checks(state, channels)]
    events: list[Any] = []
    if not silent:
        state["checks"], events = follow(state["checks"], checks, policy=Policy(**config["policy"]), now=now)
    state.update({key: result[key] for key in ("status", "msg", "summary", "seconds")}, at=now, config=config["digest"])
    state["last"] = {check["id"]: check["status"] for check in result["checks"]}
    if events:
        state["number"] += 1
        message = make_message(events, system=config["system"], host=config["host"], number=state["number"], now=now)
        put(state, message, channels)
        say(subject(message))
    kept = [_trying(lambda: store.save(state))]
    problems = deliver(
        state,
        lambda channel, message: send(channel, message, config["channels"][channel], secrets),
        now=now,
        keep=lambda: kept.append(_trying(lambda: store.save(state))),
        in_time=lambda: time.monotonic() - began < config["timeout_seconds"] + SEND_SECONDS,
    )
    kept.append(_trying(lambda: store.save(state)))
    problems += dict.fromkeys(reason for reason in kept if reason)
    return [*problems, *_publish(config, secrets, store, result, waiting=len(state["outbox"]), now=now)]


def _publish(
    config: Mapping[str, Any], secrets: Secrets, store: Store, result: Mapping[str, Any], *, waiting: int, now: float
) -> list[str]:
    """Write the metrics and the history, tell the outside watch that we live, and return what went wrong."""
    problems = []
    if config.get("textfile"):
        own = {
            "runbook_monitor_last_run_timestamp_seconds": now,
            "runbook_monitor_run_seconds": result["seconds"],
            "runbook_monitor_waiting_messages": waiting,
        }
        text = metrics(result["checks"], own)
        problems.append(_trying(lambda: replace_file(Path(config["textfile"]), text.encode(), mode=0o644)))
    values = {check["id"]: check["value"] for check in result["checks"] if check["id"].startswith("disk:")}
    hourly = {"every_seconds": HISTORY_SECONDS - 60, "days": HISTORY_DAYS}
    problems.append(_trying(lambda: store.remember({"values": values}, now, **hourly)))
    if secrets.get("alive_url"):
        problems.append(_alive(secrets["alive_url"]))
    return [problem for problem in problems if problem]


def look(config: Mapping[str, Any], secrets: Secrets) -> dict[str, Any]:
    """Return what the health engine says; where it cannot be asked, a check that says why."""
    try:
        return check_health(
            config["probes"], secrets=secrets.get("probes"), timeout_seconds=float(config["timeout_seconds"])
        )
    except (ValueError, TypeError) as exc:
        check = make_check(
            "monitor:configuration",
            name="Configuration of the monitor",
            section="Monitor",
            status="critical",
            detail=f"nothing was looked at: {exc}",
            remedy="run the playbook install_monitoring again",
        )
        summary = {"ok": 0, "unknown": 0, "warning": 0, "critical": 1}
        return {"checks": [check], "status": "critical", "summary": summary, "msg": check["detail"], "seconds": 0.0}


def send_test(config: Mapping[str, Any], secrets: Secrets, *, now: float) -> list[str]:
    """Send a message that says it is a test to every receiver, and return why where one did not take it."""
    event = {
        **make_check("monitor:test", name="test of the alerts", section="Monitor", status="ok"),
        **{"kind": "test", "was": "ok", "since": now, "follows": []},
    }
    message = make_message([event], system=config["system"], host=config["host"], number=0, now=now)
    problems = []
    for channel, settings in config["channels"].items():
        try:
            send(channel, message, settings, secrets)
        except NotifyError as exc:
            problems.append(f"{channel}: {exc}")
    return problems


def _alive(url: str) -> str | None:
    try:
        status = ask(url, timeout_seconds=10.0, body_limit_bytes=1024).status
    except (HttpError, ValueError):
        return "the URL that is told that we are alive does not answer"
    return None if status < 400 else f"the URL that is told that we are alive answers HTTP {status}"


def _trying(act: Callable[[], str | None]) -> str | None:
    """Return why ``act`` could not write, None where it could."""
    try:
        return act()
    except OSError as exc:
        return f"{exc.filename or 'writing'}: {exc.strerror or exc}"


def say(line: str) -> None:
    """Write a line to the journal."""
    sys.stdout.write(f"{line}\n")


def read_config(arguments: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return configuration and secrets from the two paths in ``arguments``, or from where they are installed.

    :raises ValueError: one of them is not what it must be.
    """
    paths = [*arguments, *(CONFIG, SECRETS)[len(arguments) :]]
    both = []
    for path in paths[:2]:
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as exc:
            raise ValueError(f"{path}: {exc.strerror}") from exc
        except ValueError as exc:
            raise ValueError(f"{path} is not JSON: {exc}") from exc
        if not isinstance(found, dict):
            raise ValueError(f"{path} is not a mapping")
        both.append(found)
    missing = {"system", "host", "probes", "timeout_seconds", "policy", "channels", "digest"} - set(both[0])
    if missing:
        raise ValueError(f"{paths[0]} lacks {', '.join(sorted(missing))}")
    return both[0], both[1]


def main(arguments: Sequence[str]) -> int:
    """Run, check, test or show: the first of ``arguments``; a configuration and its secrets may follow."""
    verb = arguments[0] if arguments else "run"
    try:
        config, secrets = read_config(arguments[1:])
        if verb == "check":
            Policy(**config["policy"])
            for index, spec in enumerate(config["probes"]):
                prepare(spec, index, secrets.get("probes") or {}, PROBES)
            return 0
    except (ValueError, TypeError) as exc:
        sys.stderr.write(f"monitor: {exc}\n")
        return 2
    if verb == "look":
        sys.stdout.write(json.dumps(look(config, secrets)) + "\n")
        return 0
    if verb == "test":
        problems = send_test(config, secrets, now=time.time())
    else:
        store = Store(config.get("directory", DIRECTORY), config.get("runtime", RUNTIME))
        with store.locked() as free:
            silences = lasting(this_moment(), str(store.directory))
            for silence in silences:
                say(f"nothing is counted for {says(silence)}")
            problems = ["another run is at work"]
            if free:
                problems = look_once(config, secrets, store, now=time.time(), silent=bool(silences))
        if free:
            say(store.load().get("msg", ""))
    for problem in problems:
        sys.stderr.write(f"monitor: {problem}\n")
    return 1 if problems and verb == "test" else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
