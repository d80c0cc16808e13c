# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count the requests in blocks of an access log, at the speed of C where its lines are regular. Private to this collection.

A block is split at quotes and ends of lines at once. Where each line has as many quotes as its format, and each piece that is
looked at is what the format says, columns of pieces are counted as they are. One odd line, and the block is read line by line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import NamedTuple, Optional, TypeVar

from ansible_collections.runbook.ops.plugins.module_utils._log_scan_endpoints import endpoint_of, path_of
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_tally import MOST_STEPS, Tally, step_of

# What stands before the request is not looked at, but for the address.
COMBINED = (
    rb'(?P<address>[^ "\n]*)(?: [^"\n]*)?"(?P<request>%s)" (?P<status>[1-5]\d\d) [^"\n]*"%s" "(?P<agent>%s)"'
    rb"(?: (?P<seconds>\d{1,9}\.\d{1,9}|-))?\r*"
)
MEANINGS = {
    "remote_addr": "address",
    "http_x_forwarded_for": "address",
    "request": "request",
    "request_method": "method",
    "request_uri": "path",
    "uri": "path",
    "status": "status",
    "http_user_agent": "agent",
    "request_time": "seconds",
    "request_time_ms": "ms",
    "upstream_cache_status": "cache",
}
SHAPES = {"status": rb"[1-5]\d\d", "seconds": rb"\d{1,9}\.\d{1,9}|-", "ms": rb"\d{1,9}(?:\.\d{1,9})?|-"}
KNOWN = ("address", "request", "method", "path", "status", "agent", "seconds", "ms", "cache")
FIELD = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
MOST_CACHED = 50_000
STATUSES = {b" %d " % status: status for status in range(100, 600)}
HEAD = itemgetter(slice(0, 5))  # of what follows a request, its status
MASK = bytes.maketrans(b"123456789", b"000000000")
DIGIT = re.compile("[0-9]")
Key = tuple[int, int, Optional[int]]  # number of an endpoint, status, step of the duration
Value = TypeVar("Value")


class Format(NamedTuple):
    """How a line is built."""

    strict: re.Pattern[bytes]  # no quote within quotes
    lenient: re.Pattern[bytes]  # quotes within quotes behind a backslash
    is_combined: bool


def compile_format(template: str) -> Format:
    """Return the format that a ``log_format`` of nginx describes; of ``combined`` a request time may follow.

    :raises ValueError: it names no status, or neither a request nor a path.
    """
    if template == "combined":
        strict, lenient = (re.compile(COMBINED % ((quoted,) * 3)) for quoted in (STRICT, LENIENT))
        return Format(strict, lenient, True)
    names = {MEANINGS.get(left or right, left or right) for left, right in FIELD.findall(template)}
    if "status" not in names or not names & {"request", "path"}:
        raise ValueError(f"{template!r} needs $status, and $request or $request_uri: it describes no requests without")
    strict, lenient = (re.compile(_expression(template, quoted)) for quoted in (STRICT, LENIENT))
    return Format(strict, lenient, False)


STRICT = rb'[^"\n]*'
LENIENT = rb'(?:[^"\\\n]|\\.)*'


def _expression(template: str, quoted: bytes) -> bytes:
    """Return the expression that a whole line meets."""
    parts, seen, at = [], set(), 0
    for met in FIELD.finditer(template):
        literal = template[at : met.start()]
        parts.append(re.escape(literal.encode()))
        at = met.end()
        name = MEANINGS.get(met[1] or met[2], met[1] or met[2])
        following = template[at : at + 1].encode()
        in_quotes = literal.endswith('"') or template[: met.start()].count('"') % 2
        shape = SHAPES.get(name) or (
            quoted if in_quotes else rb"[^" + re.escape(following) + rb'"\n]*' if following else rb"[^\n]*"
        )
        if name in KNOWN and name not in seen:
            seen.add(name)
            parts.append(b"(?P<%s>%s)" % (name.encode(), shape))
        else:
            parts.append(b"(?:%s)" % shape)
    return b"".join([*parts, re.escape(template[at:].encode()), rb"\r*"])


class _Endpoints:
    """The endpoints of requests, by numbers, until they are cleared.

    Most requests of an endpoint differ in digits alone. Where its name has none, they are known by the request without its digits:
    of these there are few, which stay in the processor's own memory.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._alike: dict[bytes, int] = {}  # by requests whose digits are masked
        self._alone: dict[bytes, int] = {}  # by requests as they are

    def __call__(self, requests: Sequence[bytes]) -> Sequence[int]:
        """Return the numbers of at least two requests' endpoints."""
        masked = list(map(bytes.translate, requests, repeat(MASK)))
        try:
            return values_of(masked, self._alike)
        except KeyError:
            known = map(self._alike.get, masked)
            return [self._find(one) if number is None else number for one, number in zip(requests, known)]

    def one(self, request: bytes) -> int:
        """Return the number of one request's endpoint."""
        number = self._alike.get(request.translate(MASK))
        return self._find(request) if number is None else number

    def _find(self, request: bytes) -> int:
        number = self._alone.get(request)
        if number is None:
            name = endpoint_of(request)
            number = self._numbers.setdefault(name, len(self.names))
            if number == len(self.names):
                self.names.append(name)
            known, key = (self._alone, request) if DIGIT.search(name) else (self._alike, request.translate(MASK))
            if len(known) >= MOST_CACHED:
                known.clear()
            known[key] = number
        return number

    def clear(self) -> None:
        for each in (self.names, self._numbers, self._alike, self._alone):
            each.clear()


class _Tails(dict[bytes, "int | None"]):
    """The step of the duration that stands behind the last quote of a line, None where none does.

    :raises ValueError: it is no request time.
    """

    def __missing__(self, tail: bytes) -> int | None:
        text = tail.rstrip(b"\r")
        if not re.fullmatch(rb"(?: (?:\d{1,9}\.\d{1,9}|-))?", text):
            raise ValueError("not what stands at the end of a line")
        found = _step(float(text) * 1000 if len(text) > 2 else None)
        if len(self) < MOST_CACHED:
            self[tail] = found
        return found


class AccessReader:
    """Counts the blocks of one access log into a tally."""

    def __init__(self, form: Format, tally: Tally, tops: frozenset[str]) -> None:
        self._form, self._tally, self._tops = form, tally, tops
        self._endpoints, self._tails = _Endpoints(), _Tails()
        self._counts: Counter[Key] = Counter()

    def add(self, block: bytes, lines: int) -> None:
        """Count a block of whole lines."""
        if not (self._form.is_combined and self._fast(block, lines)):
            for line in block.split(b"\n")[:lines]:
                self._line(line)
        if len(self._counts) > MOST_STEPS:
            self.flush()

    def _fast(self, block: bytes, lines: int) -> bool:
        pieces = block.replace(b"\n", b'"').split(b'"')
        if len(pieces) != 7 * lines + 1 or lines < 2 or pieces[4::7].count(b" ") != lines:
            return False
        try:
            statuses = values_of(map(HEAD, pieces[2::7]), STATUSES)
            took = values_of(pieces[6::7], self._tails)
        except (KeyError, ValueError):
            return False
        self._counts.update(zip(self._endpoints(pieces[1::7]), statuses, took))
        if self._tops:
            self._count_tops(pieces)
        return True

    def _count_tops(self, pieces: list[bytes]) -> None:
        if "addresses" in self._tops:
            self._tally.top("addresses", [head.partition(b" ")[0] for head in pieces[0:-1:7]])
        if "agents" in self._tops:
            self._tally.top("agents", pieces[5::7])
        if "paths" in self._tops:
            self._tally.top("paths", map(path_of, pieces[1::7]))

    def _line(self, line: bytes) -> None:
        found = self._form.strict.fullmatch(line) or self._form.lenient.fullmatch(line)
        if found is None:
            self._tally.broken += 1
            return
        told = found.groupdict()
        request = told.get("request")
        if request is None:
            request = b"%s %s" % (told.get("method") or b"GET", told.get("path") or b"")
        took = _milliseconds(told)
        self._counts[self._endpoints.one(request), int(told["status"]), _step(took)] += 1
        self._tally.cached(told.get("cache"))
        if "addresses" in self._tops and told.get("address") is not None:
            self._tally.top("addresses", [told["address"]])
        if "agents" in self._tops and told.get("agent") is not None:
            self._tally.top("agents", [told["agent"]])
        if "paths" in self._tops:
            self._tally.top("paths", [path_of(request)])

    def flush(self) -> None:
        """Bring what was counted to the tally."""
        for (endpoint, status, step), times in self._counts.items():
            self._tally.requests.add(self._endpoints.names[endpoint], str(status), step, times)
        self._counts = Counter()
        self._endpoints.clear()
        self._tally.requests.trim()


def values_of(keys: Iterable[bytes], known: Mapping[bytes, Value]) -> tuple[Value, ...]:
    """Return what is known of each of at least two keys, in the quickest way that Python has.

    :raises KeyError: of one nothing is.
    """
    return itemgetter(*keys)(known)


def _step(milliseconds: float | None) -> int | None:
    return None if milliseconds is None else step_of(milliseconds)


def _milliseconds(told: dict[str, bytes | None]) -> float | None:
    for name, scale in (("seconds", 1000.0), ("ms", 1.0)):
        text = told.get(name)
        if text and text != b"-":
            return float(text) * scale
    return None
