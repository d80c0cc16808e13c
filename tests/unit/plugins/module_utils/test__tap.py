# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream that is looked at while it flows."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._tap import Looker, Tap


def test_who_looks_sees_all_of_it_and_it_flows_on_unchanged():
    tap = Tap([b"a", b"b" * 10, b"c"], b"".join)
    assert b"".join(tap) == tap.result == b"abbbbbbbbbbc"


def test_what_the_looker_raises_ends_the_stream():
    def look(pieces):
        next(pieces)
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        list(Tap((b"x" for _turn in range(10_000)), look))


def test_a_looker_that_has_seen_enough_does_not_hold_up_the_stream():
    tap = Tap([b"x"] * 1000, next)
    assert len(list(tap)) == 1000 and tap.result == b"x"


def test_a_stream_that_breaks_is_told_as_it_broke():
    def broken():
        yield b"a"
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(Tap(broken(), b"".join))


def test_who_stops_in_the_middle_leaves_no_thread():
    looker = Looker(b"".join)
    with pytest.raises(RuntimeError), looker:
        looker(b"a")
        raise RuntimeError
    assert not looker._thread.is_alive()
