# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a release is run by PM2, in PM2's words, and what PM2's words about a slot mean. Private to this collection."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pm2 import group
from ansible_collections.runbook.ops.plugins.module_utils._slot import (
    ADOPTED,
    RELEASE_VARIABLE,
    SlotError,
    SlotSeen,
    Standing,
)

ECOSYSTEMS = ("ecosystem.config.js", "ecosystem.config.cjs", "ecosystem.config.json", "ecosystem.json")
# What a release keeps of its definition, in the words of an ecosystem file, and PM2's own word where it uses another one
# for what runs. Not: name, directory, environment, what watches files or belongs to `pm2 deploy`.
KEPT = {
    "args": "args",
    "interpreter": "exec_interpreter",
    "node_args": "node_args",
    "exec_mode": "exec_mode",
    "instances": "instances",
    "max_memory_restart": "max_memory_restart",
    "kill_timeout": "kill_timeout",
    "wait_ready": "wait_ready",
    "listen_timeout": "listen_timeout",
    "shutdown_with_message": "shutdown_with_message",
    "treekill": "treekill",
    "max_restarts": "max_restarts",
    "min_uptime": "min_uptime",
    "restart_delay": "restart_delay",
    "exp_backoff_restart_delay": "exp_backoff_restart_delay",
    "stop_exit_codes": "stop_exit_codes",
    "cron_restart": "cron_restart",
    "out_file": "pm_out_log_path",
    "error_file": "pm_err_log_path",
    "merge_logs": "merge_logs",
    "log_date_format": "log_date_format",
    "log_type": "log_type",
    "time": "time",
    "source_map_support": "source_map_support",
    "instance_var": "instance_var",
    "increment_var": "increment_var",
    "pmx": "pmx",
    "namespace": "namespace",
}
ALIASES = {"exec_interpreter": "interpreter", "out": "out_file", "output": "out_file", "error": "error_file"}
# Variables of PM2 and of a login, which are not the application's.
NOT_ITS_OWN = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "PWD", "unique_id", "PORT", "NODE_APP_INSTANCE", RELEASE_VARIABLE}  # fmt: skip
LOG_NUMBER = re.compile(r"-\d+(\.[^./]*)?$")
STATUSES = {"online": "running", "launching": "starting", "stopping": "stopped", "stopped": "stopped"}


def of_ecosystem(document: Any, service: Mapping[str, Any], directory: str) -> Standing | None:
    """Return how an ecosystem file says that ``service`` is run; None where it does not speak of it.

    :param document: what the file exports
    :param directory: where it lies
    :raises SlotError: it says what cannot be.
    """
    apps = document.get("apps") if isinstance(document, Mapping) else document
    apps = [app for app in apps if isinstance(app, Mapping)] if isinstance(apps, list) else []
    mine = [app for app in apps if app.get("name") == service["name"]]
    if not mine:
        return None
    app = {ALIASES.get(key, key): value for key, value in mine[0].items()}
    if not isinstance(app.get("script"), str):
        raise SlotError(f"the ecosystem file in {directory} names no script of {service['name']}")
    cwd = _moved(posixpath.join(directory, str(app.get("cwd") or ".")), service, directory)
    script = _moved(posixpath.join(cwd, app["script"]), service, directory)
    process = {key: app[key] for key in KEPT if app.get(key) is not None}
    process["exec_mode"] = _mode(app, service)
    process["script"] = _inside(script, directory, "script")
    process["cwd"] = _inside(cwd, directory, "cwd")
    return Standing(_sized(process, service), own_variables(app.get("env"), service["name"]), directory)


def of_description(service: Mapping[str, Any], directory: str) -> Standing | None:
    """Return how the description says that ``service`` is run; None where it names no program."""
    if not service.get("entry_point"):
        return None
    script = posixpath.join(directory, service["entry_point"])
    process = {"script": _inside(script, directory, "entry_point"), "cwd": ".", "exec_mode": _wanted_mode(service)}
    return Standing(_sized(process, service), {}, directory)


def of_processes(processes: Iterable[Mapping[str, Any]]) -> Standing | None:
    """Return how what runs was started; None where there is nothing. It can be started again in the same way."""
    envs = [process.get("pm2_env") or {} for process in processes]
    if not envs:
        return None
    env = envs[0]
    cwd = str(env.get("pm_cwd") or "/")
    process = {key: env[word] for key, word in KEPT.items() if env.get(word) not in (None, [])}
    process["exec_mode"] = str(env.get("exec_mode", "fork")).replace("_mode", "")
    process["instances"] = len(envs)
    if not env.get("merge_logs"):  # PM2 has put the number of the instance behind the name, and would again
        for key in ("out_file", "error_file"):
            if key in process:
                process[key] = LOG_NUMBER.sub(lambda met: met[1] or "", str(process[key]))
    process["cwd"] = "."
    # Its script may lie outside of where it runs: then it stays where it is.
    process["script"] = posixpath.relpath(str(env.get("pm_exec_path")), cwd)
    return Standing(process, own_variables(env.get("env"), str(env.get("name"))), cwd)


def document(process: Mapping[str, Any], *, path: str, label: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the ecosystem that starts one slot: it goes to ``pm2 start -``.

    :raises SlotError: the release does not say what to run.
    """
    if not process.get("script"):
        raise SlotError(
            f"nothing says how {label} is run: describe its entry_point, or keep an ecosystem file in the repository"
        )
    return {
        "apps": [
            {
                **process,
                "name": label,
                "cwd": posixpath.normpath(posixpath.join(path, str(process.get("cwd") or "."))),
                "script": posixpath.normpath(posixpath.join(path, process["script"])),
                "env": dict(environment),
                "watch": False,
            }
        ]
    }


def digest(content: Mapping[str, Any]) -> str:
    """Return what tells one definition from another: no secret can be read from it."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def seen(processes: Sequence[Mapping[str, Any]], *, listening: Iterable[int], now: float) -> SlotSeen:
    """Return what PM2 says of the processes of a slot.

    :param listening: its processes that take connections on its port
    :param now: in seconds since 1970
    """
    if not processes:
        return SlotSeen()
    app = next(iter(group(processes).values()))
    envs = [process.get("pm2_env") or {} for process in processes]
    statuses = {str(env.get("status")) for env in envs}
    status, trouble = STATUSES.get(app.status, "broken"), None
    if app.status == "mixed":
        status = "starting" if statuses <= {"online", "launching"} else "broken"
    if app.status == "online" and app.unstable_restarts and (app.uptime_seconds(now) or 0) < 60:
        status = "broken"
    if status == "broken":
        trouble = f"PM2 says {app.status}, restarted {app.restarts} times"
    codes = [env["exit_code"] for env in envs if isinstance(env.get("exit_code"), int)]
    started = app.started_at_ms / 1000 if app.started_at_ms else None
    releases = {str((env.get("env") or {}).get(RELEASE_VARIABLE) or ADOPTED) for env in envs}
    return SlotSeen(
        status=status,
        release=releases.pop() if len(releases) == 1 else None,
        pids=app.pids if status != "stopped" else (),
        listening=tuple(sorted(listening)),
        restarts=app.restarts,
        started_at=started,
        memory_bytes=app.memory_bytes,
        trouble=trouble,
        exit_code=max(codes) if codes else None,
    )


def _mode(app: Mapping[str, Any], service: Mapping[str, Any]) -> str:
    """Return the mode in which the application is run, as PM2 decides it, where description and file agree."""
    said = str(app.get("exec_mode") or "").replace("_mode", "")
    if not said:
        node = "node" in str(app.get("interpreter") or "node")
        said = "cluster" if app.get("instances") is not None and node else "fork"
    wanted = _wanted_mode(service)
    if said != wanted:
        raise SlotError(
            f"the ecosystem file runs {service['name']} in the mode {said}, its deploy.mode is {wanted}: correct one of them"
        )
    return said


def _wanted_mode(service: Mapping[str, Any]) -> str:
    return str((service.get("deploy") or {}).get("mode") or "fork")


def _sized(process: dict[str, Any], service: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition with the number of instances that is described, else with its own."""
    wanted = service.get("replicas") or process.get("instances") or 1
    process["instances"] = wanted
    if process["exec_mode"] == "fork" and wanted != 1 and service.get("port"):
        raise SlotError(
            f"{service['name']} cannot have {wanted} instances in the mode fork: only one can have its port; set deploy.mode to cluster"
        )
    return process


def _moved(path: str, service: Mapping[str, Any], directory: str) -> str:
    """Return ``path`` in the release's directory, where it is written as in the directory that a person deploys to."""
    live, path = posixpath.normpath(service.get("path") or "/"), posixpath.normpath(path)
    if live == "/" or (path != live and not path.startswith(live + "/")) or path.startswith(directory + "/"):
        return path
    return posixpath.normpath(posixpath.join(directory, posixpath.relpath(path, live)))


def _inside(path: str, directory: str, what: str) -> str:
    """Return ``path`` relative to the release's directory, so that it never runs what lies elsewhere."""
    found = posixpath.relpath(posixpath.normpath(path), directory)
    if found.startswith("../") or found == "..":
        raise SlotError(f"{what} leads out of the release, to {path}: write it relative to the repository")
    return found


def own_variables(env: Any, name: str) -> dict[str, str]:
    """Return what the application was given: of ``env`` neither what PM2 nor what a login has put there."""
    found = {str(key): _text(value) for key, value in env.items()} if isinstance(env, Mapping) else {}
    return {
        key: value
        for key, value in found.items()
        if key not in NOT_ITS_OWN and not key.startswith("PM2_") and not (key == name and value == "{}")
    }


def _text(value: Any) -> str:
    """Return a variable as Node hands it on to a process."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)
