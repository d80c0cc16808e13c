# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is counted in a log is what a naive reader counts that looks at every line, in flat memory, while the log lives on."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _log_scan_run, _log_scan_source
from ansible_collections.runbook.ops.plugins.module_utils._log_scan import Reading
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_plan import check_log
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor

START = datetime(2026, 11, 15, tzinfo=timezone.utc)
DAY = 86400
NOW = START.timestamp() + 7 * DAY
REQUEST = re.compile(
    rb'[^"]*"([^"]*)" ([1-5]\d\d) [^"]*"[^"]*" "[^"]*"(?: (\d{1,9}\.\d{1,9}|-))?'
)  # of a line, whatever stands before
STAMP = re.compile(rb"\[(\d\d)/Nov/2026:(\d\d):(\d\d):(\d\d) \+0000\]")


def reading(since_seconds=7 * DAY, *, now=NOW, **options):
    return Reading(now=now, since_seconds=since_seconds, redact=Redactor(), **{"workers": 1, **options})


def request_line(chance, seconds):
    moment = START + timedelta(seconds=seconds)
    return (
        f"192.0.2.{chance.randrange(9)} - - [{moment:%d/%b/%Y:%H:%M:%S} +0000] "
        f'"{chance.choice(["GET", "POST"])} /{chance.choice(["a", "b", "c/7", "c/8?x=1"])} HTTP/1.1" '
        f'{chance.choice([200, 200, 200, 404, 500])} {chance.randrange(9999)} "-" "agent {chance.randrange(3)}" '
        f"{chance.lognormvariate(-3, 1):.3f}"
    ).encode()


def broken_line(chance):
    return chance.choice(
        [b"", b'"', chance.randbytes(200).replace(b"\n", b""), b"x" * 1_000_000, b"\0" * 300, b'a "GET / HTTP/1.1" 200']
    )


def write_log(path, chance, lines, *, broken=0.01, back=False):
    """Write a log of a week, with broken lines, and where asked a clock that is set back by an hour in the middle."""
    with path.open("wb") as file:
        for number in range(lines):
            seconds = 7 * DAY * number / lines - (3600 if back and number > lines / 2 else 0)
            file.write((broken_line(chance) if chance.random() < broken else request_line(chance, seconds)) + b"\n")


def recount(path, since=float("-inf")):
    """Count what is in a log line by line: lines, broken ones, requests by path, status and milliseconds."""
    lines = broken = 0
    requests, passes = Counter(), since == float("-inf")
    for whole in path.read_bytes().split(b"\n")[:-1]:
        line = whole[: 128 << 10]
        stamp = STAMP.search(line[:256])
        if stamp and since > float("-inf"):
            day, hour, minute, second = map(int, stamp.groups())
            passes = START.timestamp() + (day - 15) * DAY + hour * 3600 + minute * 60 + second >= since
        if not passes:
            continue
        lines += 1
        met = REQUEST.fullmatch(line)
        if not met:
            broken += 1
            continue
        endpoint = re.sub(r"/\d+", "/:id", met[1].decode("latin-1").rpartition(" ")[0].partition("?")[0])
        requests[endpoint, met[2].decode(), met[3] and round(float(met[3]) * 1000)] += 1
    return lines, broken, requests


def counted(tally):
    requests = Counter()
    for name, one in tally.requests.endpoints.items():
        requests.update({(name, status): count for status, count in one.statuses.items()})
    return requests


def tally_of(path, monkeypatch, **options):
    """Return the tally that becomes the figures."""
    kept = []
    true = _log_scan_run.scan_parts

    def keep(*arguments, **named):
        kept.append(true(*arguments, **named))
        return kept[-1]

    monkeypatch.setattr("ansible_collections.runbook.ops.plugins.module_utils._log_scan.scan_parts", keep)
    told = reading(**options).log({"name": "access", "path": str(path), "format": "combined"}, {})
    return kept[-1], told


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_a_naive_reader(tmp_path, monkeypatch, seed, workers):
    monkeypatch.setattr(_log_scan_run, "WORTH_TWO", 1000)
    path = tmp_path / "access.log"
    write_log(path, random.Random(seed), 3000)
    tally, told = tally_of(path, monkeypatch, since_seconds=100 * DAY, workers=workers)
    lines, broken, requests = recount(path)
    assert (tally.lines, tally.broken) == (lines, broken)
    wanted = Counter()
    durations = Counter()
    for (endpoint, status, took), count in requests.items():
        wanted[endpoint, status] += count
        durations[endpoint, took] += count
    assert counted(tally) == wanted
    ours = Counter(
        {(name, took): count for name, one in tally.requests.endpoints.items() for took, count in one.durations.items()}
    )
    assert ours == durations
    assert told.checks[0]["value"] == lines


@pytest.mark.parametrize("hours", [1, 24, 100, 1000])
@pytest.mark.parametrize("size", ["small: every line is looked at", "large: bisected"])
@pytest.mark.parametrize("back", [False, True], ids=["in order", "a clock set back"])
def test_a_period_counts_what_was_written_in_it(tmp_path, monkeypatch, hours, size, back):
    if size.startswith("large"):
        monkeypatch.setattr(_log_scan_source, "LOOK_AT_ALL", 1000)
    path = tmp_path / "access.log"
    write_log(path, random.Random(hours), 4000, broken=0.0 if back else 0.005, back=back)
    since = NOW - hours * 3600
    tally, _told = tally_of(path, monkeypatch, since_seconds=hours * 3600.0)
    lines, broken, requests = recount(path, since if hours < 1000 else float("-inf"))
    assert (tally.lines, tally.broken, sum(counted(tally).values())) == (lines, broken, sum(requests.values()))


def test_rotated_and_compressed_files_count_as_one_log(tmp_path, monkeypatch):
    path, chance = tmp_path / "access.log", random.Random(3)
    whole = tmp_path / "whole"
    write_log(whole, chance, 3000)
    data = whole.read_bytes()
    cuts = [0, *(data.index(b"\n", len(data) * part // 4) + 1 for part in (1, 2, 3)), len(data)]
    parts = [data[begin:end] for begin, end in zip(cuts, cuts[1:])]
    (tmp_path / "access.log.3.gz").write_bytes(gzip.compress(parts[0]))
    (tmp_path / "access.log.1").write_bytes(parts[2])
    path.write_bytes(parts[3])
    if shutil.which("zstd"):
        done = subprocess.run(["zstd", "-q", "-c"], input=parts[1], stdout=subprocess.PIPE, check=True)
        (tmp_path / "access.log.2.zst").write_bytes(done.stdout)
    else:
        (tmp_path / "access.log.2.gz").write_bytes(gzip.compress(parts[1]))
    for hours in (1000, 48):
        tally, told = tally_of(path, monkeypatch, since_seconds=hours * 3600.0)
        lines, broken, _requests = recount(whole, NOW - hours * 3600 if hours < 1000 else float("-inf"))
        assert (tally.lines, tally.broken) == (lines, broken)
        assert told.figures["notes"] == []


def test_a_damaged_file_is_told_and_takes_no_other_with_it(tmp_path):
    path = tmp_path / "access.log"
    path.write_bytes(request_line(random.Random(1), 9) + b"\n")
    (tmp_path / "access.log.1.gz").write_bytes(b"no gzip at all")
    told = reading().log({"name": "access", "path": str(path), "format": "combined"}, {})
    assert told.checks[0]["status"] == "unknown"
    assert "access.log.1.gz is damaged" in told.checks[0]["detail"]
    assert told.figures["lines"] == 1


@pytest.mark.parametrize("change", ["grows", "is rotated", "is copied and emptied", "is emptied"])
def test_a_log_that_changes_while_it_is_read(tmp_path, monkeypatch, change):
    path = tmp_path / "access.log"
    write_log(path, random.Random(5), 2000)
    before = recount(path)
    true, changed = _log_scan_run.read_part, []

    def changing(*arguments):
        for piece in true(*arguments):
            yield piece
            if not changed:
                changed.append(True)
                if change == "is rotated":
                    path.rename(f"{path}.1")
                    path.write_bytes(b"new\n")
                elif change == "grows":
                    with path.open("ab") as file:
                        file.write(b"new\n")
                else:
                    if "copied" in change:
                        shutil.copy(path, f"{path}.1")
                    os.truncate(path, 0)

    monkeypatch.setattr(_log_scan_run, "read_part", changing)
    tally, _told = tally_of(path, monkeypatch, since_seconds=100 * DAY)
    if change in ("grows", "is rotated"):
        assert (tally.lines, tally.broken) == before[:2]  # what was there when it was opened
    else:
        assert 0 < tally.lines < before[0]  # what was read before it was gone


PATTERNS = [{"name": "errors", "expression": "ERROR"}]


def test_a_log_is_read_on_from_the_last_reading(tmp_path):
    path = tmp_path / "app.log"
    log = {"name": "app", "path": str(path), "patterns": PATTERNS}
    path.write_bytes(b"2026-11-21T00:00:00Z ERROR one\n2026-11-21T00:00:01Z fine\nhalf a li")
    first = reading(goes_on=True).log(log, {})
    assert first.figures["patterns"][0]["count"] == 1
    left = json.loads(json.dumps(first.left))

    quiet = reading(goes_on=True, now=NOW + 60).log(log, left)
    assert quiet.figures is None
    assert [one["value"] for one in quiet.checks] == [one["value"] for one in first.checks]
    assert all("nothing new since the last reading" in one["detail"] for one in quiet.checks)
    again = reading(goes_on=True, now=NOW + 90).log(log, json.loads(json.dumps(quiet.left)))
    assert again.checks == quiet.checks

    with path.open("ab") as file:
        file.write(b"ne with an ERROR\n")
    path.rename(f"{path}.1")
    path.write_bytes(b"2026-11-22T00:00:00Z ERROR three\n")
    after = reading(goes_on=True, now=NOW + 120).log(log, left)
    assert after.figures["patterns"][0]["count"] == 2
    assert after.figures["lines"] == 2


def test_a_period_is_the_same_whoever_read_before(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(b"2026-11-21T00:00:00Z ERROR one\n")
    log = {"name": "app", "path": str(path), "patterns": PATTERNS}
    left = reading(goes_on=True).log(log, {}).left
    assert reading().log(log, left).checks == reading().log(log, {}).checks


def test_a_limit_is_one_of_lines_a_day_and_zero_means_any(tmp_path):
    path = tmp_path / "app.log"
    lines = [f"{START + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ} ERROR\n" for day in range(7)]
    path.write_text("2026-11-01T00:00:00Z begins\n" + "".join(lines))
    log = {
        "name": "app",
        "path": str(path),
        "patterns": [
            {"name": "few", "expression": "ERROR", "per_day": {"warning": 2, "critical": 9}},
            {"name": "many", "expression": "ERROR", "per_day": {"warning": 1}},
            {"name": "any", "expression": "ERROR", "per_day": {"warning": 0}},
            {"name": "none", "expression": "PANIC", "per_day": {"critical": 0}},
        ],
    }
    checks = {one["id"]: one for one in reading().log(log, {}).checks}
    assert {identity: one["status"] for identity, one in checks.items()} == {
        "log_scan:app": "ok",
        "log_scan:app:few": "ok",
        "log_scan:app:many": "warning",
        "log_scan:app:any": "warning",
        "log_scan:app:none": "ok",
    }
    assert checks["log_scan:app:few"]["value"] == 1.0


def test_what_a_log_does_not_hold_for_the_whole_period_is_told(tmp_path):
    path = tmp_path / "app.log"
    path.write_text("2026-11-21T00:00:00Z ERROR\n" * 10)
    told = reading().log({"name": "app", "path": str(path), "patterns": PATTERNS}, {})
    assert told.checks[1]["value"] == 10.0  # a day, for it holds one day
    assert "in 1d, for the log begins no earlier" in told.checks[1]["detail"]


def test_examples_and_top_lists_show_no_secrets(tmp_path):
    path = tmp_path / "app.log"
    path.write_text("2026-11-21T00:00:00Z ERROR user=ann@example.com password=hunter22 \x1b[31m\n")
    log = {"name": "app", "path": str(path), "patterns": [{"name": "e", "expression": r"ERROR user=(?P<user>\S+)"}]}
    told = json.dumps(reading().log(log, {}))
    assert "hunter22" not in told
    assert "ann@" not in told
    assert "ERROR" in told


def test_lines_without_times_are_counted_and_it_is_told(tmp_path):
    path = tmp_path / "app.log"
    path.write_text("ERROR\n" * 3)
    told = reading(3600.0, now=path.stat().st_mtime).log({"name": "app", "path": str(path), "patterns": PATTERNS}, {})
    assert told.figures["patterns"][0]["count"] == 3
    assert "they carry no time" in told.checks[0]["detail"]


def test_a_log_that_is_not_there_is_unknown_and_one_that_is_quiet_is_well(tmp_path):
    path = tmp_path / "app.log"
    log = {"name": "app", "path": str(path), "patterns": PATTERNS}
    assert [(one["id"], one["status"]) for one in reading().log(log, {}).checks] == [
        ("log_scan:app", "unknown"),
        ("log_scan:app:errors", "unknown"),
    ]
    path.touch()
    os.utime(path, (1, 1))
    assert [one["status"] for one in reading().log(log, {}).checks] == ["ok", "ok"]


def test_a_format_that_is_not_the_logs_is_told(tmp_path):
    path = tmp_path / "access.log"
    path.write_text("2026-11-21T00:00:00Z something else\n" * 30)
    told = reading().log({"name": "access", "path": str(path), "format": "combined"}, {})
    assert (told.checks[0]["status"], told.checks[0]["remedy"]) == ("warning", "correct its format in ops_logs")


def test_an_endpoint_that_nobody_asked_for_keeps_its_check(tmp_path):
    path = tmp_path / "access.log"
    path.write_bytes(request_line(random.Random(1), 9) + b"\n")
    log = {
        "name": "a",
        "path": str(path),
        "format": "combined",
        "endpoints": [{"endpoint": "/never", "p95_ms": {"warning": 1}}],
    }
    checks = {one["id"]: one for one in reading().log(log, {}).checks}
    assert [*checks] == ["log_scan:a", "log_scan:a:error_rate", "log_scan:a:p95", "log_scan:a:p95:/never"]
    assert (checks["log_scan:a:p95:/never"]["status"], checks["log_scan:a:p95:/never"]["value"]) == ("ok", None)


def test_a_worker_that_dies_costs_time_and_no_count(tmp_path, monkeypatch):
    monkeypatch.setattr(_log_scan_run, "WORTH_TWO", 1000)
    path = tmp_path / "access.log"
    write_log(path, random.Random(1), 500)
    mother, true = os.getpid(), _log_scan_run.read_part

    def dying(*arguments):
        if os.getpid() != mother:
            os._exit(9)
        return true(*arguments)

    monkeypatch.setattr(_log_scan_run, "read_part", dying)
    tally, _told = tally_of(path, monkeypatch, since_seconds=100 * DAY, workers=2)
    assert (tally.lines, tally.broken) == recount(path)[:2]


@pytest.mark.parametrize(
    ("log", "wrong"),
    [
        ({"path": "/x"}, "needs a name"),
        ({"name": "a"}, "one of path"),
        ({"name": "a", "path": "/x", "unit": "y"}, "one of path"),
        ({"name": "a", "path": "/x", "pattern": []}, "takes no pattern"),
    ],
)
def test_a_log_that_is_described_wrongly_is_refused(log, wrong):
    with pytest.raises(ValueError, match=wrong):
        check_log(log)


MEMORY = """
import re, sys
from ansible_collections.runbook.ops.plugins.module_utils._log_scan import Reading
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor
log = {"name": "a", "path": sys.argv[1], "format": "combined", "top": ["addresses", "agents", "paths"]}
Reading(now=float(sys.argv[2]), since_seconds=1e8, workers=1, redact=Redactor()).log(log, {})
# Not ru_maxrss: that begins with what our mother had.
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
"""


def peak_kib(path):
    environment = {**os.environ, "PYTHONPATH": str(Path(_log_scan_run.__file__).parents[5])}
    argv = [sys.executable, "-c", MEMORY, str(path), str(NOW)]
    return int(subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout)


def test_memory_does_not_grow_with_the_log(tmp_path):
    chance = random.Random(2)
    peaks = []
    block = b"".join(request_line(chance, 9) + b"\n" for _ in range(5000))
    for times in (7, 28):  # 5 and 20 MB
        path = tmp_path / f"{times}.log"
        path.write_bytes(block * times)
        peaks.append(peak_kib(path))
    assert peaks[1] < peaks[0] + 2000, peaks


LINE = "2026-11-21T23:30:00+0000 host app[1]: error: {}\n"
UNIT = {"name": "unit", "unit": "app.service", "errors": ["error"]}


def told_by(monkeypatch, *, lines=3, first="1795000000.5 host x\n", state="loaded", fails=False):
    """Let journalctl and systemctl say this."""

    def run(argv, **_named):
        if argv[0] == "systemctl":
            yield f"{state}\n".encode()
        elif "--output=short-unix" in argv:
            yield from [first.encode()] if first else []
        else:
            yield "".join(LINE.format(number) for number in range(lines)).encode()
            if fails:
                raise _log_scan_source.SourceError("journalctl failed (1): it broke")

    monkeypatch.setattr(_log_scan_source, "run", run)
    monkeypatch.setattr("ansible_collections.runbook.ops.plugins.module_utils._log_scan.run", run)


def test_a_journal_that_begins_later_is_judged_by_the_time_that_it_covers(monkeypatch):
    told_by(monkeypatch, lines=30, first=f"{NOW - DAY:.6f} host x\n")
    checks = reading().log(UNIT, {}).checks
    assert checks[1]["value"] == 30.0  # a day, not a seventh of it
    assert "for the log begins no earlier" in checks[1]["detail"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"lines": 0, "state": "not-found"}, "no unit app.service"),
        ({"first": ""}, "holds nothing"),
        ({"fails": True}, "it broke"),
    ],
    ids=["no such unit", "no journal", "it breaks off"],
)
def test_a_journal_that_was_not_read_is_unknown_in_all_its_checks(monkeypatch, given, words):
    told_by(monkeypatch, **given)
    left = {"read_at": NOW - 60}
    told = reading(goes_on=True).log(UNIT, left)
    assert [one["id"] for one in told.checks] == ["log_scan:unit", "log_scan:unit:errors"]
    assert {one["status"] for one in told.checks} == {"unknown"}
    assert words in told.checks[0]["detail"]
    assert told.left == left  # the next reading begins there again


def test_the_age_of_a_container_is_that_of_its_log():
    from ansible_collections.runbook.ops.plugins.module_utils._log_scan import created_at  # noqa: PLC0415

    assert created_at("2026-11-15T00:00:10.123456789Z") == START.timestamp() + 10


def test_a_missing_log_has_all_its_checks_as_unknown(tmp_path):
    log = {"name": "a", "path": f"{tmp_path}/none.log", "format": "combined", "errors": ["x"], "p95_ms": {"warning": 1}}
    checks = reading().log(log, {}).checks
    assert [one["id"] for one in checks] == [
        *("log_scan:a", "log_scan:a:errors", "log_scan:a:error_rate", "log_scan:a:p95"),
    ]
    assert {one["status"] for one in checks} == {"unknown"}


def test_a_limit_has_its_check_in_a_quiet_week(tmp_path):
    path = tmp_path / "a.log"
    path.write_text('{"time": "2026-11-21T10:00:00Z", "level": "info"}\n')
    log = {"name": "a", "path": str(path), "format": "json", "p95_ms": {"warning": 1}}
    assert [one["id"] for one in reading().log(log, {}).checks] == [
        *("log_scan:a", "log_scan:a:error_rate", "log_scan:a:p95"),
    ]


def test_a_glob_whose_older_file_is_not_opened_covers_the_period(tmp_path):
    old, new = tmp_path / "api-2026-11-01.log", tmp_path / "api-2026-11-21.log"
    old.write_text("2026-11-01T10:00:00Z fine\n")
    new.write_text("2026-11-21T23:30:00Z error\n" * 3)
    os.utime(old, (NOW - 20 * DAY,) * 2)
    os.utime(new, (NOW - 60,) * 2)
    log = {"name": "api", "path": f"{tmp_path}/api-*.log", "errors": ["error"]}
    assert reading().log(log, {}).checks[1]["value"] == 0.43


def test_a_rotated_file_that_a_glob_means_too_counts_once(tmp_path):
    lines = "2026-11-21T23:30:00Z error\n" * 10
    for name in ("app-error.log", "app-error__2026-11-21_00-00-00.log"):
        (tmp_path / name).write_text(lines)
        os.utime(tmp_path / name, (NOW - 60,) * 2)
    log = {"name": "app", "path": f"{tmp_path}/app-*.log", "errors": ["error"]}
    assert reading().log(log, {}).checks[0]["value"] == 20


@pytest.mark.parametrize("workers", [1, 2])
def test_an_expression_that_never_ends_costs_its_log_and_no_other(tmp_path, monkeypatch, workers):
    monkeypatch.setattr(_log_scan_run, "WORTH_TWO", 1)
    log = tmp_path / "app.log"
    log.write_text("2026-11-21T00:00:00Z a line\n" * 2000 + f"2026-11-21T10:00:00Z {'a' * 40}!\n")
    told = reading(workers=workers, timeout_seconds=0.3).log(
        {"name": "app", "path": str(log), "patterns": [{"name": "trap", "expression": "(a+)+$"}]}, {}
    )
    assert [(check["id"], check["status"]) for check in told.checks] == [
        ("log_scan:app", "unknown"),
        ("log_scan:app:trap", "unknown"),
    ]
    assert "not read within 0.3 s: make its patterns simpler" in told.checks[0]["detail"]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # no process is left behind
    after = reading(workers=workers).log({"name": "app", "path": str(log), "errors": ["line"]}, {})
    assert after.figures["patterns"][0]["count"] == 2000


CACHED = [("HIT", 70), ("STALE", 5), ("MISS", 20), ("EXPIRED", 5), ("BYPASS", 9), ("-", 11)]


@pytest.mark.parametrize(
    ("told", "line"),
    [
        pytest.param(
            {"format": '$remote_addr [$time_local] "$request" $status $upstream_cache_status'},
            '::1 [21/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 %s',
            id="a log_format of nginx",
        ),
        pytest.param(
            {"format": "json"},
            '{"time": "2026-11-21T10:00:00Z", "status": 200, "request": "GET / HTTP/1.1", "upstream_cache_status": "%s"}',
            id="nginx in JSON",
        ),
        pytest.param(
            {"format": "json", "fields": {"cache": "redis.cache"}},
            '{"time": "2026-11-21T10:00:00Z", "msg": "no request", "redis": {"cache": "%s"}}',
            id="an application in JSON",
        ),
        pytest.param(
            {"patterns": [{"name": "cache", "expression": r"cache (?P<cache>\w+|-) cache:"}]},
            "2026-11-21T10:00:00Z cache %s cache:page:7",
            id="lines of an application",
        ),
    ],
)
def test_the_hit_rate_of_a_cache_is_a_share_of_those_that_asked_it(tmp_path, told, line):
    log = tmp_path / "app.log"
    log.write_text("".join(f"{line % word}\n" * count for word, count in CACHED))
    cache = {"name": "pages", "hit_percent": {"warning": 80}}
    described = {"name": "app", "path": str(log), "cache": cache, **told}
    check = next(one for one in reading().log(described, {}).checks if one["id"] == "log_scan:app:cache_hits")
    assert (check["name"], check["status"], check["value"], check["limit"]) == ("pages: hit rate", "warning", 75.0, 80)
    assert "75 of 100 look-ups came from the cache in " in check["detail"]
    assert "(BYPASS 9, EXPIRED 5, HIT 70, MISS 20, STALE 5); 9 did not ask it" in check["detail"]


def test_a_log_that_does_not_tell_of_its_cache_says_what_it_lacks(tmp_path):
    log = tmp_path / "access.log"
    log.write_bytes(request_line(random.Random(1), 6 * DAY) + b"\n")
    described = {"name": "access", "path": str(log), "format": "combined", "cache": {"name": "proxy"}}
    check = reading().log(described, {}).checks[-1]
    assert (check["id"], check["status"], check["value"]) == ("log_scan:access:cache_hits", "unknown", None)
    assert check["detail"].startswith("none of 1 lines tells what came from the cache in ")
    assert "$upstream_cache_status" in check["remedy"]
    described.pop("cache")
    assert [one["id"] for one in reading().log(described, {}).checks if "cache" in one["id"]] == []


def test_a_few_look_ups_are_not_judged(tmp_path):
    log = tmp_path / "app.log"
    log.write_text("2026-11-21T10:00:00Z cache miss\n" * 19)
    described = {
        "name": "app",
        "path": str(log),
        "patterns": [{"name": "cache", "expression": "cache (?P<cache>hit|miss)"}],
        "cache": {"name": "pages", "hit_percent": {"critical": 50}},
    }
    check = reading().log(described, {}).checks[-1]
    assert (check["status"], check["value"]) == ("ok", 0.0)
    log.write_text("2026-11-21T10:00:00Z cache miss\n" * 20)
    assert reading().log(described, {}).checks[-1]["status"] == "critical"


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(os.mkfifo, id="a pipe that nobody writes to"),
        pytest.param(os.mkdir, id="a directory, as Docker makes of a file that is not there"),
        pytest.param(lambda path: path.symlink_to(path), id="a link to itself"),
        pytest.param(lambda path: path.symlink_to(f"{path}.gone"), id="a link to nowhere"),
    ],
)
@pytest.mark.parametrize("rotated", [False, True], ids=["alone", "beside what it was"])
def test_what_is_no_file_in_the_place_of_a_log_is_no_quiet_log(tmp_path, made, rotated):
    log = tmp_path / "app.log"
    made(log)
    if rotated:
        (tmp_path / "app.log.1").write_text("2026-11-21T00:00:00Z a line\n")
    (check,) = reading().log({"name": "app", "path": str(log)}, {}).checks
    assert (check["status"], check["value"]) == ("unknown", None)
    assert check["detail"] == f"{log} is no file that could be read, nor a link to one"
