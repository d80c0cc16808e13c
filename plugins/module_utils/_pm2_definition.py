# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What defines a PM2 application: compared with what runs, and with what is saved. Private to this collection."""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pm2 import UP, App, Pm2Error, group
from ansible_collections.runbook.ops.plugins.module_utils._pm2_plan import Wish, refuse
from ansible_collections.runbook.ops.plugins.module_utils._units import parse_size

# What `pm2 save` keeps of a process and `pm2 resurrect` needs. The rest are measurements, or follow from these.
SAVED_KEYS = (
    "name",
    "pm_exec_path",
    "pm_cwd",
    "args",
    "exec_mode",
    "exec_interpreter",
    "node_args",
    "max_memory_restart",
    "kill_timeout",
    "wait_ready",
    "autorestart",
    "cron_restart",
    "watch",
    "pm_out_log_path",
    "pm_err_log_path",
    "namespace",
)


def as_wish(params: Mapping[str, Any], user: str) -> Wish:
    """Return what the module's options ask for.

    :raises Pm2Error: an option cannot be.
    """
    refuse(params["name"])
    if params["instances"] is not None and params["instances"] < 1:
        raise Pm2Error(f"instances is {params['instances']}: write at least 1, or use state=stopped")
    if params["ecosystem"] is not None and not params["ecosystem"].startswith("/"):
        raise Pm2Error(f"ecosystem is {params['ecosystem']!r}: write an absolute path")
    if params["max_memory_restart"] is not None:
        try:
            params = {**params, "max_memory_restart": parse_size(params["max_memory_restart"])}
        except ValueError as exc:
            raise Pm2Error(f"max_memory_restart: {exc}") from exc
    return Wish(
        name=params["name"],
        state=params["state"],
        user=user,
        instances=params["instances"],
        ecosystem=params["ecosystem"],
        ecosystem_environment=params["ecosystem_environment"],
        definition=as_definition(params),
    )


def as_definition(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the module's options that define an application in PM2's own words; None where there is no script.

    :raises Pm2Error: a path is relative to nothing.
    """
    if params["script"] is None:
        return None
    script, cwd = params["script"], params["cwd"]
    if not posixpath.isabs(cwd or script):
        raise Pm2Error(f"script is {script!r}: set cwd to an absolute directory, or write an absolute path")
    cwd = posixpath.normpath(cwd or posixpath.dirname(script))
    found = {
        "script": posixpath.normpath(posixpath.join(cwd, script)),
        "cwd": cwd,
        "args": params["args"],
        "interpreter": params["interpreter"],
        "node_args": params["node_args"],
        "exec_mode": params["exec_mode"],
        "max_memory_restart": params["max_memory_restart"],
        "wait_ready": params["wait_ready"],
        "env": None if params["env"] is None else {str(key): str(value) for key, value in params["env"].items()},
    }
    return {key: value for key, value in found.items() if value is not None}


def differences(processes: Iterable[Mapping[str, Any]], definition: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options in which a running process is not what ``definition`` says; of variables only the names."""
    found: set[str] = set()
    for process in processes:
        env = process.get("pm2_env") or {}
        is_now = {
            "script": env.get("pm_exec_path"),
            "cwd": env.get("pm_cwd"),
            "args": _list(env.get("args")),
            "interpreter": env.get("exec_interpreter"),
            "node_args": _list(env.get("node_args")),
            "exec_mode": str(env.get("exec_mode", "")).replace("_mode", ""),
            "max_memory_restart": env.get("max_memory_restart"),
            "wait_ready": bool(env.get("wait_ready")),
        }
        found |= {key for key, value in definition.items() if key in is_now and is_now[key] != value}
        variables = env.get("env") or {}
        wanted = definition.get("env") or {}
        found |= {f"env.{key}" for key, value in wanted.items() if str(variables.get(key)) != value}
    return tuple(sorted(found))


def _list(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else ([str(value)] if value else [])


def saved_apps(dump: Any) -> dict[str, App]:
    """Return the applications in ``dump``, the parsed ``dump.pm2``, as they will be when PM2 brings them back."""
    envs = [env for env in dump if isinstance(env, Mapping) and env.get("name")] if isinstance(dump, list) else []
    apps = group({"name": env["name"], "pm_id": place, "pm2_env": env} for place, env in enumerate(envs))
    return {name: replace(app, status="online", ids=(), down_ids=(), started_at_ms=None) for name, app in apps.items()}


def is_saved(processes: Iterable[Mapping[str, Any]], dump: Any) -> bool:
    """Return whether ``dump`` would bring back what runs: the same processes, with the same variables."""
    now = [process.get("pm2_env") or {} for process in processes]
    then = [env for env in dump if isinstance(env, Mapping)] if isinstance(dump, list) else []
    return Counter(_fingerprint(env) for env in now if not env.get("pmx_module")) == Counter(map(_fingerprint, then))


def _fingerprint(env: Mapping[str, Any]) -> str:
    variables = {key: value for key, value in (env.get("env") or {}).items() if key != "unique_id"}
    status = "up" if env.get("status") in UP else "down"
    return json.dumps([[env.get(key) for key in SAVED_KEYS], variables, status], sort_keys=True, default=str)
