# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the keys of a cache out of a Redis server that holds other things too. Private to this collection.

The server itself finds and frees them, some hundred at a time: names that are not text stay what they are, and nobody waits for long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._redis import RedisDownError

# One step over the keys of a server. A name is compared as a whole: MATCH, with its wildcards, only saves work.
# What looks like a queue of Bull or BullMQ, and is described nowhere, is named in place of being freed.
SCRIPT = """
if redis.replicate_commands then redis.replicate_commands() end
if ARGV[1] == "0" then
  local told = redis.pcall("INFO", "cluster")
  if type(told) == "string" and string.find(told, "cluster_enabled:1", 1, true) then
    return redis.error_reply("ERR it is one node of a cluster, and has a part of the keys: let the application empty its cache")
  end
end
local prefix, free, expiring = ARGV[2], ARGV[4] == "1", ARGV[5] == "1"
local answer = redis.call("SCAN", ARGV[1], "MATCH", ARGV[6], "COUNT", ARGV[3])
local found, lasting, queue = {}, 0, ""
for _, key in ipairs(answer[2]) do
  if string.sub(key, 1, #prefix) == prefix then
    local kind = redis.call("TYPE", key)["ok"]
    local last = string.match(key, ":([^:]*)$")
    if (kind == "list" and (last == "wait" or last == "active" or last == "paused"))
      or (kind == "zset" and (last == "delayed" or last == "prioritized" or last == "repeat"))
      or (kind == "hash" and last == "meta" and redis.call("HEXISTS", key, "version") == 1) then
      queue = key
    end
    if expiring and redis.call("PTTL", key) < 0 then lasting = lasting + 1 else table.insert(found, key) end
  end
end
if queue ~= "" then return {answer[1], 0, lasting, queue} end
local freed = #found
if free and freed > 0 then freed = redis.call("UNLINK", unpack(found)) end
return {answer[1], freed, lasting, ""}
"""
WILD = "*?[]\\^-"
SHORTEST = 2  # of one letter, a prefix is a slip rather than a cache

Call = Callable[[Sequence[Sequence[Any]]], "list[Any]"]


class CacheError(Exception):
    """A cache that is not to be emptied, or could not be; the message is one line."""

    freed: list[Seen] = []  # what is gone by then  # noqa: RUF012  # replaced as a whole


class Wish(NamedTuple):
    """What is asked for."""

    prefixes: tuple[str, ...]
    protected: tuple[str, ...]
    expiring: bool  # only keys that expire by themselves
    batch: int
    seconds: float


class Seen(NamedTuple):
    """The keys of one prefix: those of the cache, and those that stay because they never expire."""

    prefix: str
    keys: int
    lasting: int


def refuse(wish: Wish) -> None:
    """Refuse prefixes that would take in more than a cache.

    :raises CacheError: which one, and why.
    """
    if not wish.prefixes:
        raise CacheError("no prefix says which keys are the cache's: without one it would be the whole database")
    for prefix in wish.prefixes:
        if len(prefix) < SHORTEST or not prefix.strip(WILD):
            raise CacheError(
                f"the prefix {prefix!r} is no name: give what the cache's keys begin with, at least {SHORTEST} letters"
            )
        for other in wish.protected:
            if other.startswith(prefix) or prefix.startswith(other):
                raise CacheError(f"the prefix {prefix!r} and {other!r}, which must stay, have keys in common")


def look(call: Call, wish: Wish, *, clock: Callable[[], float] = time.monotonic) -> list[Seen]:
    """Return what there is for each prefix; nothing is freed.

    :param call: sends commands and returns their answers
    :raises CacheError: there is a queue among the keys, or it takes too long.
    """
    return [_all(call, wish, prefix, free=False, end=clock() + wish.seconds, clock=clock) for prefix in wish.prefixes]


def free(call: Call, wish: Wish, *, clock: Callable[[], float] = time.monotonic) -> list[Seen]:
    """Free the keys of all prefixes, and return how many there were. What is freed is gone; a second run goes on where this one ends.

    :raises CacheError: there is a queue among the keys, or it takes too long: what is left can be freed by running again.
    """
    done: list[Seen] = []
    for prefix in wish.prefixes:
        so_far = [0]
        try:
            done.append(_all(call, wish, prefix, free=True, end=clock() + wish.seconds, clock=clock, so_far=so_far))
        except (CacheError, RedisDownError) as exc:
            error = CacheError(str(exc))
            error.freed = [*done, Seen(prefix, so_far[0], 0)]
            raise error from exc
    return done


def pattern_of(prefix: str) -> str:
    """Return ``prefix`` as a pattern of Redis that fits what begins with it."""
    return "".join(f"\\{letter}" if letter in WILD else letter for letter in prefix) + "*"


def _all(
    call: Call,
    wish: Wish,
    prefix: str,
    *,
    free: bool,
    end: float,
    clock: Callable[[], float] = time.monotonic,
    so_far: list[int] | None = None,
) -> Seen:
    keys = lasting = 0
    cursor = "0"
    while True:
        words = (cursor, prefix, wish.batch, int(free), int(wish.expiring), pattern_of(prefix))
        (answer,) = call([("EVAL", SCRIPT, 0, *words)])
        cursor, count, stay, queue = answer
        if queue:
            raise CacheError(
                f"{queue!r} begins with {prefix!r} and belongs to a queue of jobs: give a longer prefix{_done(free, keys)}"
            )
        keys, lasting = keys + count, lasting + stay
        if so_far is not None:
            so_far[0] = keys
        if cursor == "0":
            return Seen(prefix, keys, lasting)
        if clock() > end:
            raise CacheError(
                f"not done within {wish.seconds:g} s: there are more keys than that{_done(free, keys)}; "
                # Each run looks at all keys before it frees one: with the same time it would get no further.
                + ("run again" if free else "give it more time: timeout_seconds, or cache_timeout_seconds of the role")
            )


def _done(free: bool, keys: int) -> str:
    return f"; {keys} keys were freed so far" if free else "; nothing was freed"
