# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests are counted in blocks as they are line by line, whatever the lines hold."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_access import (
    AccessReader,
    compile_format,
)
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_endpoints import NO_REQUEST, endpoint_of, path_of
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_tally import Tally

GOOD = b'192.0.2.7 - - [22/Nov/2026:00:00:01 +0000] "GET /users/7?a=1 HTTP/1.1" 200 512 "-" "curl/8" 0.034'
ALL_TOPS = frozenset({"addresses", "agents", "paths"})


def count(block, form="combined", tops=ALL_TOPS):
    tally = Tally()
    reader = AccessReader(compile_format(form), tally, tops)
    reader.add(block, block.count(b"\n"))
    reader.flush()
    return tally


def told(tally):
    return {
        (name, status): times
        for name, one in tally.requests.endpoints.items()
        for status, times in one.statuses.items()
    }


@pytest.mark.parametrize(
    ("request_line", "endpoint"),
    [
        pytest.param(b"GET / HTTP/1.1", "GET /", id="the root"),
        pytest.param(b"GET /users/7?a=1 HTTP/1.1", "GET /users/:id", id="numbers vary, questions do not count"),
        pytest.param(b"POST /a/5/b/6/ HTTP/2.0", "POST /a/:id/b/:id/", id="two of them"),
        pytest.param(b"GET /v/0b9b5c1e-0d4e-4c0b-9c54-0f3a3f1f7f10 HTTP/1.1", "GET /v/:id", id="a uuid"),
        pytest.param(
            b"GET /v/507f1f77bcf86cd799439011.json HTTP/1.1", "GET /v/:id.json", id="an identity with an ending"
        ),
        pytest.param(b"GET /v1/api2 HTTP/1.1", "GET /v1/api2", id="names with digits stay"),
        pytest.param(b"GET /old", "GET /old", id="HTTP 0.9"),
        pytest.param(b"\\x16\\x03\\x01", NO_REQUEST, id="TLS to a plain port"),
        pytest.param(b"", NO_REQUEST, id="nothing"),
        pytest.param(b"GET /\xff\xfe HTTP/1.1", "GET /\ufffd\ufffd", id="no UTF-8"),
    ],
)
def test_what_varies_in_a_request_is_taken_out(request_line, endpoint):
    assert endpoint_of(request_line) == endpoint


def test_the_path_as_it_was_asked_for():
    assert path_of(b"GET /a/7?b=1 HTTP/1.1") == b"/a/7"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(GOOD, {("GET /users/:id", "200"): 1}, id="with a request time"),
        pytest.param(GOOD[:-6], {("GET /users/:id", "200"): 1}, id="without one"),
        pytest.param(GOOD[:-5] + b"-", {("GET /users/:id", "200"): 1}, id="with a dash for it"),
        pytest.param(GOOD + b"\r", {("GET /users/:id", "200"): 1}, id="with the end of a line of Windows"),
        pytest.param(
            GOOD.replace(b"curl/8", b'a \\"b\\" c'), {("GET /users/:id", "200"): 1}, id="quotes within quotes"
        ),
        pytest.param(GOOD.replace(b" 200 ", b" 999 "), {}, id="a status that is none"),
        pytest.param(GOOD[:60], {}, id="cut"),
        pytest.param(GOOD + b"x", {}, id="with something behind"),
        pytest.param(GOOD + GOOD, {}, id="two on one line"),
        pytest.param(b"\0\x01\xff" * 9, {}, id="binary"),
        pytest.param(b"", {}, id="empty"),
        pytest.param(GOOD.replace(b'" "', b'"x"'), {}, id="something between the last quotes"),
        pytest.param(GOOD[:-5] + b"1" * 400 + b".0", {}, id="a time beyond all numbers"),
    ],
)
@pytest.mark.parametrize("neighbours", [0, 3], ids=["alone", "among good ones"])
def test_a_line_counts_or_is_broken(line, expected, neighbours):
    tally = count(b"\n".join([*[GOOD] * neighbours, line, *[GOOD] * neighbours]) + b"\n")
    wanted = dict(expected)
    if neighbours:
        wanted["GET /users/:id", "200"] = wanted.get(("GET /users/:id", "200"), 0) + 2 * neighbours
    assert told(tally) == wanted
    assert tally.broken == (0 if expected else 1)


def test_what_is_told_beside_the_counts():
    tally = count((GOOD + b"\n") * 3)
    assert tally.tops["addresses"].top(1) == [(b"192.0.2.7", 3)]
    assert tally.tops["agents"].top(1) == [(b"curl/8", 3)]
    assert tally.tops["paths"].top(1) == [(b"/users/7", 3)]
    assert tally.requests.endpoints["GET /users/:id"].durations == {34: 3}


@pytest.mark.parametrize(
    ("form", "line", "endpoint", "milliseconds"),
    [
        pytest.param(
            '$remote_addr [$time_local] "$request" $status $request_time',
            b'::1 [22/Nov/2026:00:00:01 +0000] "PUT /a HTTP/1.1" 201 1.500',
            "PUT /a",
            1500,
            id="a log_format of nginx",
        ),
        pytest.param(
            "$time $level ${request_method} $request_uri $status ${ms}ms",
            b"t INFO GET /b/3 200 12ms",
            "GET /b/:id",
            12,
            id="braces",
        ),
        pytest.param("$request_uri|$status|$request_time", b"/c|500|-", "GET /c", None, id="no method, no time"),
    ],
)
def test_a_declared_format_is_read(form, line, endpoint, milliseconds):
    tally = count((line + b"\n") * 2 + b"something else\n", form)
    one = tally.requests.endpoints[endpoint]
    assert one.count == 2
    assert tally.broken == 1
    assert list(one.durations) == ([] if milliseconds is None else [milliseconds])


@pytest.mark.parametrize("form", ["$request", "$status", "nonsense"])
def test_a_format_that_describes_no_requests_is_refused(form):
    with pytest.raises(ValueError, match="needs"):
        compile_format(form)


@pytest.mark.parametrize("seed", range(5))
def test_requests_that_differ_in_digits_alone_are_of_their_own_endpoint(seed):
    chance = random.Random(seed)
    paths = ["/v{}/users/{}", "/users/{}", "/api{}", "/u/{}a", "/v{}", "/a/{}/b?c={}", "/files/{}0123456789abcdef.json"]
    requests = [
        f"{chance.choice(['GET', 'PUT'])} {chance.choice(paths).format(chance.randrange(30), chance.randrange(30))} HTTP/1.{chance.randrange(2)}".encode()
        for _ in range(300)
    ]
    lines = b"".join(GOOD.replace(b"GET /users/7?a=1 HTTP/1.1", one) + b"\n" for one in requests)
    wanted = Counter((endpoint_of(one), "200") for one in requests)
    tally = Tally()
    reader = AccessReader(compile_format("combined"), tally, frozenset())
    for _time in range(2):  # the second time by what the first has found, or by nothing of it
        reader.add(lines, len(requests))
        if seed % 2:
            reader.flush()
    reader.flush()
    assert told(tally) == {key: 2 * number for key, number in wanted.items()}


def test_the_end_of_a_line_is_no_quote():
    tally = count((GOOD + b"\n") * 3 + GOOD.replace(b'" 200', b"\n 200") + b"\n")
    assert told(tally) == {("GET /users/:id", "200"): 3}
    assert tally.broken == 2


STRICT = re.compile(rb'[^"\n]*"[^"\n]*" [1-5]\d\d [^"\n]*"[^"\n]*" "[^"\n]*"(?: (?:\d{1,9}\.\d{1,9}|-))?\r*')


@pytest.mark.parametrize("seed", range(30))
def test_a_block_counts_as_its_lines_do(seed):
    chance = random.Random(seed)
    pieces = [
        GOOD,
        GOOD.replace(b"200", b"502"),
        GOOD[:50],
        b'"',
        b"\n",
        b' 200 1 "-" "x" 0.1',
        b" ",
        b'a "b',
        GOOD[50:],
    ]
    lines = [GOOD] * 8
    for _ in range(chance.randrange(1, 5)):
        lines.insert(chance.randrange(len(lines)), b"".join(chance.choices(pieces, k=chance.randrange(1, 4))))
    block = b"\n".join(lines) + b"\n"
    each = block.split(b"\n")[:-1]
    tally = count(block)
    # One line at a time is never counted in columns.
    by_line = [count(line + b"\n") for line in each]
    assert tally.broken == sum(one.broken for one in by_line)
    assert sum(told(tally).values()) == sum(sum(told(one).values()) for one in by_line)
    assert len(each) - tally.broken >= sum(bool(STRICT.fullmatch(line)) for line in each)
