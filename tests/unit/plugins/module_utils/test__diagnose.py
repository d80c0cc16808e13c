# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence is collected within its time and size, and one collector that fails takes no other down."""

from __future__ import annotations

import threading
import time

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._diagnose import Found, collect, end_of, event, shorten, table
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._redact import Redactor


def breaks(_options):
    raise KeyError("x")


def refuses(_options):
    raise ProbeError("docker is not installed on this host")


def hangs(_options):
    threading.Event().wait(60)  # longer than any machine takes for the others


def works(options):
    return Found(f"told {options['word']}", note="a note", events=[event(1.6, "boot", "a" * 500)])


COLLECTORS = {
    "breaks": breaks,
    "refuses": refuses,
    "hangs": hangs,
    "works": works,
    "silent": lambda _options: Found(""),
    "partly": lambda _options: Found("what there is", error="no connection left"),
    "counts": lambda _options: Found("password=abc\n", digest=lambda text: (f"noted {text.strip()}", "head")),
}


def told(*names, known=(), timeout_seconds=20.0, most_bytes=1000, **options):
    specs = [{"topic": name, "title": name, "collector": name, "options": options} for name in names]
    jobs = collect(specs, COLLECTORS, timeout_seconds=timeout_seconds)
    return [job.result(Redactor(known), most_bytes) for job in jobs]


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("works", "collected", None),
        ("silent", "empty", None),
        ("breaks", "failed", "the collector broke: KeyError: 'x'"),
        ("refuses", "failed", "docker is not installed on this host"),
        ("partly", "failed", "no connection left"),
        ("hangs", "failed", "no answer within"),
    ],
)
def test_a_topic_says_how_it_went(name, status, error):
    result = told(name, word="it", timeout_seconds=0.3 if name == "hangs" else 20)[0]
    assert result["status"] == status
    assert (result["error"] or "").startswith(error or "")


def test_what_fails_and_hangs_takes_no_other_down_nor_more_than_the_time():
    began = time.monotonic()
    results = told("hangs", "breaks", "works", "works", word="it", timeout_seconds=1.5)
    assert [result["status"] for result in results] == ["failed", "failed", "collected", "collected"]
    assert time.monotonic() - began < 20


def test_many_that_hang_leave_the_rest_not_begun_and_that_is_said():
    results = told(*["hangs"] * 6, "works", word="it", timeout_seconds=0.3)
    assert results[-1]["error"] == "not begun: the others took all of the time"


def test_what_a_host_was_not_told_to_collect_is_refused():
    with pytest.raises(ValueError, match="no collector 'nothing'"):
        collect([{"collector": "nothing"}], COLLECTORS, timeout_seconds=1)


def test_a_result_holds_no_secret_and_nothing_too_long():
    result = told("works", word="hunter-2", known=["hunter-2"])[0]
    assert result["text"] == "told ***"
    assert len(result["events"][0]["text"]) == 200
    assert result["events"][0]["at"] == 2


def test_a_text_is_counted_only_once_its_secrets_are_out():
    result = told("counts")[0]
    assert result["note"] == "noted password=***"
    assert result["text"] == "head\n\npassword=***"


def test_of_too_much_the_end_is_kept():
    text, cut = shorten("\n".join(f"line {number}" for number in range(100)), 30)
    assert (text, cut) == ("line 97\nline 98\nline 99", True)
    assert shorten("x" * 5000, 10_000)[0].endswith("x…")
    assert shorten("a\x1b[31mb\x07", 100)[0] == "a [31mb"


def test_of_far_too_much_only_whole_lines_of_the_end_are_looked_through():
    assert end_of("secret-1\nsecret-2\nsecret-3\n", 12) == ("secret-3\n", True)
    assert end_of("secret-1\n", 12) == ("secret-1\n", False)


def test_a_table_has_columns():
    assert table(["name", "n"], [["a", 1], ["bcdefg", 22]]) == "name     n\na        1\nbcdefg  22"
