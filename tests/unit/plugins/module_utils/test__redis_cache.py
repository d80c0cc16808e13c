# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which prefixes are a cache's, and how long it is gone on."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._redis_cache import (
    CacheError,
    Seen,
    Wish,
    free,
    look,
    pattern_of,
    refuse,
)


def wish(*prefixes, protected=("bull:mail:",), seconds=60.0):
    return Wish(prefixes, protected, expiring=False, batch=100, seconds=seconds)


class FakeRedis:
    """A server that gives one step's answer after the other, and keeps what it was asked."""

    def __init__(self, *steps):
        self.steps, self.asked = list(steps), []

    def __call__(self, commands):
        ((*_head, cursor, prefix, _batch, frees, _expiring, _pattern),) = commands
        self.asked.append((cursor, prefix, frees))
        return [self.steps.pop(0)]


@pytest.mark.parametrize(
    ("prefixes", "words"),
    [
        pytest.param((), "whole database", id="none"),
        pytest.param(("",), "is no name", id="an empty one"),
        pytest.param(("c",), "is no name", id="one letter"),
        pytest.param(("**",), "is no name", id="wildcards alone"),
        pytest.param(("cache:", "bull:"), "'bull:mail:', which must stay", id="one that a queue's keys begin with"),
        pytest.param(("bull:mail:wait",), "'bull:mail:', which must stay", id="one within a queue"),
        pytest.param(("bull:mail:",), "'bull:mail:', which must stay", id="a queue"),
    ],
)
def test_a_prefix_that_takes_in_more_than_a_cache_is_refused(prefixes, words):
    with pytest.raises(CacheError, match=words):
        refuse(wish(*prefixes))


def test_other_prefixes_are_taken():
    refuse(wish("cache:", "bull:mailing:"))


@pytest.mark.parametrize(
    ("prefix", "pattern"), [("cache:", "cache:*"), ("a*b?", r"a\*b\?*"), ("[x]^-\\", r"\[x\]\^\-\\*")]
)
def test_wildcards_in_a_prefix_stand_for_themselves(prefix, pattern):
    assert pattern_of(prefix) == pattern


def test_all_steps_of_all_prefixes_are_counted():
    redis = FakeRedis(["17", 3, 0, ""], ["0", 2, 1, ""], ["0", 0, 0, ""])
    assert look(redis, wish("cache:", "page:")) == [Seen("cache:", 5, 1), Seen("page:", 0, 0)]
    assert redis.asked == [("0", "cache:", 0), ("17", "cache:", 0), ("0", "page:", 0)]


def test_a_queue_among_the_keys_ends_it():
    redis = FakeRedis(["17", 3, 0, ""], ["0", 0, 0, "cache:jobs:wait"])
    with pytest.raises(CacheError, match=r"'cache:jobs:wait' .* belongs to a queue .*; 3 keys were freed so far"):
        free(redis, wish("cache:"))


def test_what_takes_too_long_says_what_was_done():
    now = iter([0.0, 1.0, 3.0])
    redis = FakeRedis(["1", 10, 0, ""], ["2", 10, 0, ""], ["3", 10, 0, ""])
    with pytest.raises(CacheError, match=r"not done within 2 s.*; 20 keys were freed so far; run again"):
        free(redis, wish("cache:", seconds=2.0), clock=lambda: next(now))


def test_a_look_that_takes_too_long_says_to_give_it_more_time():
    now = iter([0.0, 3.0])
    with pytest.raises(CacheError, match="nothing was freed; give it more time: timeout_seconds"):
        look(FakeRedis(["1", 10, 0, ""]), wish("cache:", seconds=2.0), clock=lambda: next(now))


def test_what_was_freed_before_it_failed_is_told():
    redis = FakeRedis(["0", 7, 0, ""], ["17", 3, 0, ""], ["0", 0, 0, "page:jobs:wait"])
    with pytest.raises(CacheError) as caught:
        free(redis, wish("cache:", "page:"))
    assert caught.value.freed == [Seen("cache:", 7, 0), Seen("page:", 3, 0)]
