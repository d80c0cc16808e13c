# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch after a switch: errors and times of answers beside those before it. Private to this collection.

Two things are looked at: requests of our own through nginx, which tell something even where no user comes, and nginx's access log, which
tells what users got.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths
from ansible_collections.runbook.ops.plugins.module_utils._live_proxy import wishes_of as proxy_wishes_of
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError
from ansible_collections.runbook.ops.plugins.module_utils._nginx_files import read_conf
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils._watch_logs import Log, Seen, logs_of
from ansible_collections.runbook.ops.plugins.module_utils.probes import http

SECTION = "Deploy"
NOISE_SECONDS = 0.1  # a change of less than this is no slowdown, whatever it is in percent
IN_A_ROW = 3  # own requests: so many failures one after the other, where none failed before, are no chance
REQUEST_SECONDS = 2.5  # a version that hangs must be known within ten seconds
LOOK_SECONDS = 1.0


class WatchWishes(NamedTuple):
    """What is watched, how long, and what is too bad."""

    requests: tuple[Mapping[str, Any], ...]  # options of the probe http; asked through nginx
    seconds: float = 60.0
    least_requests: int = 20  # fewer are no evidence
    error_percent: float = 5.0  # percentage points more than before
    slowdown_percent: float = 50.0  # of the 95th percentile before
    logs: tuple[str, ...] = ()  # access logs of nginx
    pause_seconds: float = 0.2  # between own requests
    shared: tuple[str, ...] = ()  # access logs that are not looked at: other sites write there too


class Window(NamedTuple):
    """Answers within some time."""

    seconds: float = 0.0
    asked: int = 0  # own requests
    asked_failed: int = 0
    asked_p95: float | None = None  # seconds
    logged: int = 0  # requests of users, from the logs
    logged_failed: int = 0  # those with a status of 500 and above
    logged_p95: float | None = None  # None where the log's format has no time
    asked_median: float | None = None
    logged_median: float | None = None
    failed_in_a_row: int = 0  # own requests, up to the last one
    wrong: str | None = None  # the last thing that was wrong with an own request


class Verdict(NamedTuple):
    """What the watch came to."""

    good: bool
    why: str  # one line
    before: Window
    after: Window


def wishes_of(
    service: Mapping[str, Any],
    deployment: Mapping[str, Any],
    *,
    hotfix: bool = False,
    config: str = "/etc/nginx/nginx.conf",
) -> WatchWishes:
    """Return what the description asks for.

    :param service: as the role ``system`` describes it
    :param deployment: ``system_description['deployment']``
    :param config: the file that nginx begins with: which access logs its configuration names
    """
    proxy = proxy_wishes_of(service, None)
    try:
        conf = read_conf(config)
        link = f"unix:{DeployPaths(service['name']).live_socket}"
        logs, shared = logs_of(conf.directives, (proxy.upstream, link, *proxy.replaces))
    except NginxError:
        logs, shared = (), ()
    return WatchWishes(
        requests=tuple({**one, "timeout_seconds": REQUEST_SECONDS} for one in proxy.requests),
        seconds=deployment["hotfix_watch_seconds" if hotfix else "watch_seconds"],
        least_requests=deployment["watch_requests"],
        error_percent=deployment["rollback_error_percent"],
        slowdown_percent=deployment["rollback_slowdown_percent"],
        logs=logs,
        shared=shared,
    )


def measure_before(wishes: WatchWishes) -> Window:
    """Return how it was until now: own requests, one after the other for about two seconds, and what the logs hold."""
    own = _Own(wishes.requests)
    began = time.monotonic()
    count = max(wishes.least_requests, len(wishes.requests)) if wishes.requests else 0
    for _number in range(count):
        own.ask()
        if time.monotonic() - began > 4:  # what is that slow is known by then
            break
        time.sleep(min(wishes.pause_seconds, 2 / count))
    seen = Seen()
    for path in wishes.logs:
        Log(path).read_since(max(wishes.seconds, 60.0), seen)
    return _window(time.monotonic() - began, own, seen)


def watch(wishes: WatchWishes, before: Window, *, look: Callable[[], str | None] | None = None) -> Verdict:
    """Watch for ``wishes.seconds``; less where what is seen is too bad before.

    :param look: says what is wrong with the slot itself, such as a restart; None where nothing is
    """
    own, seen, logs = _Own(wishes.requests), Seen(), [Log(path) for path in wishes.logs]
    for log in logs:
        log.begin()
    began = looked = time.monotonic()
    after = Window()
    while True:
        own.ask()
        now = time.monotonic()
        is_over = now - began >= wishes.seconds
        if is_over or now - looked >= LOOK_SECONDS:
            looked = now
            for log in logs:
                log.read_new(seen)
            after = _window(now - began, own, seen)
            why = (look() if look else None) or judge(before, after, wishes, is_over=is_over)
            if why:
                return Verdict(False, why, before, after)
        if is_over:
            return Verdict(True, f"{_told(after)} in {after.seconds:.0f} s", before, after)
        time.sleep(min(wishes.pause_seconds, max(0.01, wishes.seconds - (now - began))))


def judge(before: Window, after: Window, wishes: WatchWishes, *, is_over: bool = True) -> str | None:
    """Return in one line what became too bad; None where nothing did.

    :param is_over: whether the whole time is over. Before that only what is plain counts: one slow answer of twenty may be chance.
    """
    if after.failed_in_a_row >= IN_A_ROW and not before.asked_failed:
        return f"{after.failed_in_a_row} requests in a row failed, none did before: {after.wrong}"
    least = wishes.least_requests
    for whose, many, failed, was_many, was_failed in (
        ("own requests", after.asked, after.asked_failed, before.asked, before.asked_failed),
        ("requests of users", after.logged, after.logged_failed, before.logged, before.logged_failed),
    ):
        if many < least or failed < 2:
            continue
        now, was = 100 * failed / many, 100 * was_failed / was_many if was_many else 0.0
        if now - was > wishes.error_percent:
            more = f": {after.wrong}" if whose == "own requests" and after.wrong else ""
            return f"{now:.1f} % of {many} {whose} failed, before {was:.1f} %, allowed are {wishes.error_percent:g} more{more}"
    for whose, many, was_many, p95, median, was_p95 in (
        ("own requests", after.asked, before.asked, after.asked_p95, after.asked_median, before.asked_p95),
        ("requests of users", after.logged, before.logged, after.logged_p95, after.logged_median, before.logged_p95),
    ):
        if not was_many or p95 is None or was_p95 is None:
            continue
        limit = was_p95 + max(NOISE_SECONDS, was_p95 * wishes.slowdown_percent / 100)
        # Own requests wait for each other: there are few where most are slow, and that is no lack of evidence.
        hindered = is_over and whose == "own requests" and many >= IN_A_ROW and median is not None and median > limit
        if many < least and not hindered:
            continue
        if p95 > limit and (is_over or (median is not None and median > limit)):
            return f"the 95th percentile of {many} {whose} is {p95:.2f} s, before {was_p95:.2f} s, allowed are {limit:.2f} s"
    return None


def verdict_checks(service: str, verdict: Verdict, shared: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Return what the watch saw as checks.

    :param shared: of the wishes
    """
    left_out = f"; {', '.join(shared)} is not looked at: other sites write there too" if shared else ""
    before, after = verdict.before, verdict.after
    many = after.asked + after.logged
    failed = after.asked_failed + after.logged_failed
    was = f", before {_told(before)}" if before.asked + before.logged else ""
    return [
        make_check(
            f"watch:{service}",
            name=f"watch of {service}",
            section=SECTION,
            status="ok" if verdict.good else "critical",
            value=round(100 * failed / many, 2) if many else None,
            unit="%",
            detail=(f"{_told(after)}{was}" if verdict.good else verdict.why) + left_out,
            remedy="see what the release changed, and its log",
        )
    ]


class _Own:
    """Our own requests, one after the other."""

    def __init__(self, requests: tuple[Mapping[str, Any], ...]) -> None:
        self._all = [read_options({"probe": "http", **one}, http.OPTIONS, where="deploy") for one in requests]
        self.asked = self.failed = self.in_a_row = 0
        self.times: list[float] = []
        self.wrong: str | None = None

    def ask(self) -> None:
        if not self._all:
            return
        options = self._all[self.asked % len(self._all)]
        self.asked += 1
        began = time.monotonic()
        try:
            (check,) = http.judge(http.measure(options), {**options, "seconds": {"warning": None, "critical": None}})
            wrong = check["detail"] if check["status"] == "critical" else None
        except ProbeError as exc:
            wrong = str(exc)
        self.times.append(time.monotonic() - began)
        self.in_a_row = self.in_a_row + 1 if wrong else 0
        if wrong:
            self.failed += 1
            self.wrong = f"{options['url']}: {wrong}"


def _window(seconds: float, own: _Own, seen: Seen) -> Window:
    return Window(
        round(seconds, 3),
        own.asked,
        own.failed,
        percentile(own.times, 95),
        seen.count,
        seen.failed,
        percentile(seen.times, 95),
        percentile(own.times, 50),
        percentile(seen.times, 50),
        own.in_a_row,
        own.wrong,
    )


def percentile(values: list[float], percent: float) -> float | None:
    """Return the value that ``percent`` of ``values`` do not exceed; None where there are none."""
    if not values:
        return None
    return round(sorted(values)[max(0, -int(-len(values) * percent // 100) - 1)], 4)


def _told(window: Window) -> str:
    parts = [f"{window.asked_failed} of {window.asked} own requests failed"]
    if window.logged:
        parts.append(f"{window.logged_failed} of {window.logged} of users")
    if window.asked_p95 is not None:
        parts.append(f"95th percentile {window.asked_p95:.2f} s")
    return ", ".join(parts)
