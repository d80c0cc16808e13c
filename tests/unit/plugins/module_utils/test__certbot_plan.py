# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lineages are renewed, which are tried and how, and what is refused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._certbot_files import Known
from ansible_collections.runbook.ops.plugins.module_utils._certbot_plan import describe_problems, plan, trial_of

NOW = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
WEBROOT = {"authenticator": "webroot", "server": ENCRYPT}


def known(left: float, *, life: float = 90, issued: tuple[float, ...] = (), **values: str) -> Known:
    """Return a lineage with ``left`` days of ``life``; ``issued`` are the days since certificates were made out."""
    ends = NOW + timedelta(days=left)
    found: dict[str, Any] = {
        "valid_from": f"{ends - timedelta(days=life):%Y-%m-%dT%H:%M:%SZ}",
        "expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
        "days_left": int(left // 1),
        "problems": [],
    }
    return Known(found, {**WEBROOT, **values}, sorted(NOW - timedelta(days=age) for age in issued))


def step(lineage: Known | None, *early: str):
    there = {"a": lineage} if lineage else {}
    return plan(there, [], early, required=["a"], now=NOW)[0]


@pytest.mark.parametrize(
    ("lineage", "does", "reason"),
    [
        pytest.param(known(31), "keep", "31 days left, due on 2026-06-02", id="not yet"),
        pytest.param(known(29), "renew", "29 days left, due since 2026-05-31", id="a third of ninety days"),
        pytest.param(known(-2), "renew", "expired 2 days ago, due since 2026-04-30", id="expired"),
        pytest.param(known(16, life=45), "keep", "16 days left, due on 2026-06-02", id="a third of forty-five days"),
        pytest.param(known(14, life=45), "renew", "14 days left, due since 2026-05-31", id="less than it"),
        pytest.param(known(4, life=6), "keep", "4 days left, due on 2026-06-02", id="half of a short life"),
        pytest.param(known(2, life=6), "renew", "2 days left, due since 2026-05-31", id="less than half"),
        pytest.param(known(200, life=365), "keep", "200 days left, due on 2026-11-18", id="a long life, thirty days"),
        pytest.param(known(50, renew_before_expiry="60 days"), "renew", "50 days left", id="as its file says"),
        pytest.param(known(13, renew_before_expiry="2 weeks"), "renew", "13 days left", id="in weeks"),
        pytest.param(known(300, life=400, renew_before_expiry="1 year"), "renew", "300 days left", id="in years"),
        pytest.param(known(43, renew_before_expiry="1 month 2 weeks"), "renew", "43 days left", id="in two units"),
        pytest.param(
            known(31, renew_before_expiry="1 blue moon"), "keep", "31 days left, due on 2026-06-02", id="in none"
        ),
        pytest.param(known(15, renew_before_expiry="14"), "keep", "15 days left", id="days are the unit"),
        pytest.param(known(5, autorenew="False"), "keep", "5 days left, autorenew is off", id="switched off"),
        pytest.param(known(5)._replace(values={}), "refuse", "there is no renewal file", id="no renewal file"),
        pytest.param(None, "refuse", "certbot has no lineage of this name", id="not there"),
    ],
)
def test_what_is_due_is_renewed_and_nothing_else(lineage: Known | None, does: str, reason: str) -> None:
    found = step(lineage)
    assert (found.does, found.reason[: len(reason)]) == (does, reason)


@pytest.mark.parametrize(("left", "late"), [(31, 0.0), (29.5, 0.5), (27, 3.0), (-2, 32.0)])
def test_a_step_says_for_how_many_days_it_has_been_due(left: float, late: float) -> None:
    assert step(known(left)).late_days == late


def test_a_certificate_that_cannot_be_read_is_refused() -> None:
    broken = known(50)
    broken.found.update(expires_at=None, problems=["cert.pem cannot be read"])
    assert step(broken)[1:3] == ("refuse", "cert.pem cannot be read")


def test_a_renewed_one_is_not_due() -> None:
    assert step(known(10)).does == "renew"
    assert step(known(90)).does == "keep"


@pytest.mark.parametrize(
    ("issued", "does", "reason"),
    [
        pytest.param((), "renew", "0 of 5 for the same names within 7 days are used", id="none used"),
        pytest.param((8, 9, 10, 11, 12, 13), "renew", "0 of 5", id="used longer ago"),
        pytest.param((1, 2, 3, 4), "renew", "4 of 5", id="one left"),
        pytest.param((1, 2, 3, 4, 5), "refuse", "not before 2026-06-03 12:00 UTC", id="all used"),
        pytest.param((1, 1, 2, 2, 3, 6), "refuse", "not before 2026-06-05 12:00 UTC", id="more than all"),
    ],
)
def test_an_early_renewal_goes_by_the_limit_of_the_authority(issued: tuple[float, ...], does: str, reason: str) -> None:
    found = step(known(60, issued=issued), "a")
    assert found.does == does
    assert found.is_early is (does == "renew")
    assert reason in found.reason


def test_what_is_due_is_not_forced_though_it_is_asked_for() -> None:
    found = step(known(10, issued=(1, 2, 3, 4, 5)), "a")
    assert (found.does, found.is_early) == ("renew", False)


def test_only_those_named_have_a_step_in_the_order_of_their_names() -> None:
    there = {name: known(50) for name in ("b", "a", "c")}
    assert [found.name for found in plan(there, [], [], required=[], now=NOW)] == ["a", "b", "c"]
    assert [found.name for found in plan(there, ["c"], [], required=["d"], now=NOW)] == ["c"]


QUIET = ["--pre-hook", "", "--post-hook", "", "--no-directory-hooks"]


@pytest.mark.parametrize(
    ("values", "how", "staging", "arguments", "why_not"),
    [
        pytest.param({}, "harmless", None, QUIET, None, id="Let's Encrypt has its own"),
        pytest.param({}, "all", None, [], None, id="all: hooks run"),
        pytest.param({"authenticator": "dns-route53"}, "harmless", None, QUIET, None, id="by a record"),
        pytest.param({"authenticator": "standalone"}, "harmless", None, [], "takes the port", id="takes a port"),
        pytest.param({"authenticator": "nginx"}, "harmless", None, [], "nginx changes more", id="edits nginx"),
        pytest.param({"authenticator": "nginx"}, "all", None, [], None, id="edits nginx, told to"),
        pytest.param({"server": "https://ca/dir"}, "harmless", None, [], "a real order would count", id="a real order"),
        pytest.param(
            {"server": "https://ca/dir"}, "all", None, [], "a real order would count", id="told to, and yet not"
        ),
        pytest.param(
            {"server": "https://ca/dir"},
            "harmless",
            "https://st/dir",
            ["--server", "https://st/dir", *QUIET],
            None,
            id="own",
        ),
    ],
)
def test_a_dry_run_costs_nothing_and_stops_nothing(
    values: dict[str, str], how: str, staging: str | None, arguments: list[str], why_not: str | None
) -> None:
    found, why = trial_of(known(50, **values), dry_run=how, staging=staging)
    assert found == arguments
    assert (why is None) if why_not is None else (why_not in (why or ""))


def test_one_that_every_run_would_renew_is_named() -> None:
    assert describe_problems(known(50)) == []
    assert "every run renews it" in describe_problems(known(50, renew_before_expiry="100 days"))[0]


def test_an_interval_that_is_not_understood_is_named() -> None:
    assert "1 blue moon, which is not understood" in describe_problems(known(50, renew_before_expiry="1 blue moon"))[0]
