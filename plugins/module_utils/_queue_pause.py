# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pause a queue of Bull or BullMQ, see what is still worked on, and resume it. Private to this collection.

By the very steps of the libraries, in one call of the server: Bull 4 and BullMQ 5 rename the list of what waits, BullMQ 6 leaves it
where it is, and each wakes its workers in a way of its own. What waits is never lost, also where both lists are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._redis import RedisDownError, Refusal, Server, one_line
from ansible_collections.runbook.ops.plugins.module_utils._redis_server import SERVER_OPTIONS, ask_server, find_server

KEYS = ("wait", "paused", "meta", "prioritized", "events", "delayed", "marker", "meta-paused", "active", "id")
SCRIPT = """
local wait, paused, meta, prioritized, events, delayed, marker, bull_mark = unpack(KEYS)
local wanted, channel = ARGV[1], ARGV[2]
if redis.call("EXISTS", unpack(KEYS)) == 0 then return "absent" end
local version = redis.call("HGET", meta, "version") or ""
local major = tonumber(string.match(version, "^bullmq:(%d+)") or "0")
local is_paused = redis.call("HGET", meta, "paused") == "1" or redis.call("EXISTS", bull_mark) == 1
if is_paused == (wanted == "paused") then return "already" end

local function move(source, target)
  if redis.call("EXISTS", source) == 0 then return end
  if redis.call("EXISTS", target) == 0 then redis.call("RENAME", source, target) return end
  local jobs = redis.call("LRANGE", source, 0, 4999)
  while #jobs > 0 do
    redis.call("RPUSH", target, unpack(jobs))
    redis.call("LTRIM", source, #jobs, -1)
    jobs = redis.call("LRANGE", source, 0, 4999)
  end
end

if wanted == "paused" then
  if major < 6 then move(wait, paused) end
  if major == 0 then redis.call("SET", bull_mark, 1) else redis.call("DEL", marker) end
  redis.call("HSET", meta, "paused", 1)
else
  redis.call("HDEL", meta, "paused")
  redis.call("DEL", bull_mark)
  move(paused, wait)
  if major > 0 then
    if redis.call("LLEN", wait) + redis.call("ZCARD", prioritized) > 0 then
      redis.call("ZADD", marker, 0, "0")
    else
      local next_due = redis.call("ZRANGE", delayed, 0, 0, "WITHSCORES")
      if next_due[2] then redis.call("ZADD", marker, math.floor(next_due[2] / 4096), "1") end
    end
  end
end
if major == 0 then redis.call("PUBLISH", channel, wanted) else redis.call("XADD", events, "*", "event", wanted) end
return "done"
"""


class QueueError(Exception):
    """A queue that could not be paused or resumed, or does not come to rest; the message is one line."""


def paused(queue: Mapping[str, Any], password: str | None, *, timeout_seconds: float = 10.0) -> bool | None:
    """Return whether ``queue`` is paused; None where there is no such queue.

    :raises QueueError: the server does not tell.
    """
    prefix = _prefix(queue)
    script = 'return {redis.call("EXISTS", unpack(KEYS)), redis.call("HGET", KEYS[3], "paused"), redis.call("EXISTS", KEYS[8])}'
    keys = [f"{prefix}:{key}" for key in KEYS]
    exists, mark, mark_of_bull = _ask(queue, password, ("EVAL", script, len(keys), *keys), timeout_seconds)
    return (mark == "1" or bool(mark_of_bull)) if exists else None


def pause(queue: Mapping[str, Any], password: str | None, *, timeout_seconds: float = 10.0) -> str:
    """Pause ``queue``: no worker takes a new job. Return ``done``, ``already`` or, where there is no such queue, ``absent``.

    :param queue: options of the probe of that name
    :raises QueueError: the server does not do it.
    """
    return _turn(queue, password, "paused", timeout_seconds)


def resume(queue: Mapping[str, Any], password: str | None, *, timeout_seconds: float = 10.0) -> str:
    """Resume ``queue``, and return the same as :func:`pause`.

    :raises QueueError: the server does not do it.
    """
    return _turn(queue, password, "resumed", timeout_seconds)


def active(queue: Mapping[str, Any], password: str | None, *, timeout_seconds: float = 10.0) -> int:
    """Return how many jobs are worked on.

    :raises QueueError: the server does not tell.
    """
    return int(_ask(queue, password, ("LLEN", f"{_prefix(queue)}:active"), timeout_seconds))


def label(queue: Mapping[str, Any]) -> str:
    """Return what tells ``queue`` from every other one: its name, and its prefix, server and database unless they are the usual ones."""
    usual = {key: option.default for key, option in SERVER_OPTIONS.items()}
    said = {**usual, **{key: value for key, value in queue.items() if value is not None}}
    where = f"{said['host']}:{said['port']}"
    if said["socket"]:
        where = said["socket"]
    elif said["container"] or said["service"]:
        names = [said[key] for key in ("project", "service", "container") if said[key]]
        where = f"{'/'.join(names)}:{said['port']}" if said["port"] != usual["port"] else "/".join(names)
    parts = [
        f"prefix {said['prefix']}" if (said.get("prefix") or "bull") != "bull" else "",
        where if where != f"{usual['host']}:{usual['port']}" else "",
        f"database {said['database']}" if said["database"] else "",
    ]
    told = ", ".join(part for part in parts if part)
    return f"{queue['queue']} ({told})" if told else str(queue["queue"])


def _prefix(queue: Mapping[str, Any]) -> str:
    return f"{queue.get('prefix') or 'bull'}:{queue['queue']}"


def _turn(queue: Mapping[str, Any], password: str | None, wanted: str, timeout_seconds: float) -> str:
    keys = [f"{_prefix(queue)}:{key}" for key in KEYS]
    # Bull's workers listen to the channel that is named after what happened.
    request: tuple[str | int, ...] = ("EVAL", SCRIPT, len(keys), *keys, wanted, f"{_prefix(queue)}:{wanted}")
    return str(_ask(queue, password, request, timeout_seconds))


def _ask(queue: Mapping[str, Any], password: str | None, request: tuple[str | int, ...], timeout: float) -> Any:
    defaults = {key: option.default for key, option in SERVER_OPTIONS.items()}
    known = {key: queue[key] for key in SERVER_OPTIONS if queue.get(key) is not None}
    try:
        server: Server = find_server({**defaults, **known, "password": password})
        (answer,) = ask_server(server, [request], timeout)
    except (ProbeError, RedisDownError) as exc:
        raise QueueError(f"queue {queue['queue']}: {exc}") from exc
    if isinstance(answer, Refusal):
        raise QueueError(f"queue {queue['queue']}: Redis refuses: {one_line(answer.text)}")
    return answer
