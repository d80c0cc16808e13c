# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each line that a pattern meets counts once, with what its groups hold."""

from __future__ import annotations

import random
import re

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_patterns import PatternReader, compile_log_patterns
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_tally import Tally

AUTH = """\
Nov 15 00:00:01 web sshd[812]: Failed password for invalid user admin from 203.0.113.9 port 4242 ssh2
Nov 15 00:00:02 web sshd[812]: message repeated 4 times: [ Failed password for root from 203.0.113.9 port 4243 ssh2]
2026-11-15T00:00:03.1+00:00 web sshd-session[9]: Failed password for invalid user x from 198.51.100.1 port 22 from 203.0.113.8 port 50 ssh2
Nov 15 00:00:04 web sshd[813]: Accepted publickey for deploy from 192.0.2.4 port 5000 ssh2: ED25519 SHA256:abc
Nov 15 00:00:05 web sshd[814]: Accepted password for deploy from 2001:db8::1 port 5001 ssh2
Nov 15 00:00:06 web sudo:   deploy : TTY=pts/0 ; PWD=/home/deploy ; USER=root ; COMMAND=/usr/bin/systemctl restart nginx
Nov 15 00:00:06 web sudo: pam_unix(sudo:session): session opened for user root(uid=0) by deploy(uid=1000)
Nov 15 00:00:07 web sudo:   mallory : user NOT in sudoers ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/sh
Nov 15 00:00:08 web CRON[99]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)
"""
UFW = """\
Nov 15 00:00:01 web kernel: [ 1.2] [UFW BLOCK] IN=eth0 OUT= MAC=aa SRC=203.0.113.5 DST=192.0.2.1 LEN=40 PROTO=TCP SPT=5 DPT=23 WINDOW=1
Nov 15 00:00:02 web kernel: [ 1.3] [UFW ALLOW] IN=eth0 OUT= SRC=203.0.113.6 DST=192.0.2.1 PROTO=TCP SPT=5 DPT=22
Nov 15 00:00:03 web kernel: [ 1.4] [UFW BLOCK] IN=eth0 OUT= SRC=203.0.113.5 DST=192.0.2.1 LEN=40 PROTO=ICMP TYPE=8
"""
POSTGRESQL = """\
2026-11-15 00:00:01.1 UTC [7] app@shop ERROR:  deadlock detected
2026-11-15 00:00:01.1 UTC [7] app@shop DETAIL:  Process 7 waits for ShareLock
2026-11-15 00:00:02.1 UTC [8] FATAL:  sorry, too many clients already
2026-11-15 00:00:03.1 UTC [9] app@shop LOG:  duration: 1204.512 ms  statement: SELECT 1
2026-11-15 00:00:04.1 UTC [9] x@y FATAL:  password authentication failed for user "x"
"""


def read(text, **log):
    patterns = compile_log_patterns({"name": "log", **log})
    tally = Tally()
    reader = PatternReader(patterns, tally, examples=2)
    data = text if isinstance(text, bytes) else text.encode()
    reader.add(data, data.count(b"\n"))
    return tally.met


def groups(met):
    return {name: dict(tops.counts) for name, tops in met.groups.items()}


def test_a_log_of_authentication_tells_who_tried_and_who_came_in():
    met = read(AUTH, format="auth")
    assert {name: one.count for name, one in met.items()} == {
        "failed logins": 6,
        "logins": 2,
        "logins by password": 1,
        "sudo commands": 1,
        "refused sudo": 1,
    }
    # Whoever calls himself "x from 198.51.100.1 port 22" does not put the blame on another.
    assert groups(met["failed logins"])["address"] == {b"203.0.113.9": 5, b"203.0.113.8": 1}
    assert groups(met["logins"])["address"] == {b"192.0.2.4": 1, b"2001:db8::1": 1}
    assert groups(met["sudo commands"])["user"] == {b"deploy": 1}
    assert groups(met["refused sudo"])["user"] == {b"mallory": 1}


def test_a_firewall_tells_whom_it_blocked_and_where():
    met = read(UFW, format="ufw")["blocked"]
    assert met.count == 2
    assert groups(met) == {"address": {b"203.0.113.5": 2}, "protocol": {b"TCP": 1, b"ICMP": 1}, "port": {b"23": 1}}


def test_postgresql_tells_its_errors_and_what_took_long():
    met = read(POSTGRESQL, format="postgresql")
    assert {name: one.count for name, one in met.items()} == {
        "errors": 3,
        "panics": 0,
        "deadlocks": 1,
        "no connection left": 1,
        "failed logins": 1,
        "statements that took long": 1,
    }
    assert dict(met["statements that took long"].durations) == {1205: 1}


def test_a_pattern_of_the_inventory_takes_the_place_of_one_with_its_name():
    patterns = compile_log_patterns(
        {"name": "a", "format": "auth", "patterns": [{"name": "logins", "expression": "x", "per_day": {"warning": 3}}]}
    )
    assert [one.name for one in patterns].count("logins") == 1
    assert next(one for one in patterns if one.name == "logins").per_day == {"warning": 3}


def test_errors_are_met_whatever_their_case_and_patterns_as_they_are_written():
    met = read("an Error\nan error\nall well\n", errors=["ERROR"], patterns=[{"name": "mine", "expression": "Error"}])
    assert met["errors"].count == 2
    assert met["mine"].count == 1


def test_lines_that_are_excluded_do_not_count():
    met = read("slow a\nslow health\n", patterns=[{"name": "slow", "expression": "slow", "exclude": "health"}])
    assert met["slow"].count == 1


@pytest.mark.parametrize("expression", ["(", ".*", "a|", "^"])
def test_a_pattern_that_is_none_or_meets_all_is_refused(expression):
    with pytest.raises(ValueError, match="log web, pattern p"):
        compile_log_patterns({"name": "web", "patterns": [{"name": "p", "expression": expression}]})


@pytest.mark.parametrize(
    "expression",
    [
        "error",
        "^error",
        "error$",
        r"\Aerror",
        r"error\s+x",
        "[^x]*error",
        "(?<!no )error",
        "(?P<word>e.ror)",
        "(?i)ERROR",
        r"x\s*error|b$",
    ],
)
@pytest.mark.parametrize("seed", range(6))
def test_a_block_meets_what_its_lines_do(expression, seed):
    chance = random.Random(f"{seed}{expression}")
    words = ["error", "no error", "x", "\r", " ", "error x", "é", "b", ""]
    lines = ["".join(chance.choices(words, k=chance.randrange(4))) for _ in range(60)]
    expected = [line for line in lines if re.search(expression.encode(), line.encode(), re.MULTILINE)]
    met = read("\n".join(lines) + "\n", patterns=[{"name": "p", "expression": expression}])["p"]
    assert met.count == len(expected)
    assert [one.decode() for one in met.examples] == expected[-2:]
