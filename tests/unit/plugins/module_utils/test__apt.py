# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What apt's simulation says, from recordings of Debian 12 (apt 2.6) and Debian 13 (apt 3.0)."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._apt import (
    is_newer,
    is_security,
    judge_reboot,
    judge_updates,
    newest_kernel,
    parse_simulation,
)

RECORDINGS = Path(__file__).parent / "recordings" / "apt"


def read(name):
    return (RECORDINGS / f"{name}.txt").read_text()


def update(name, *, security=False, held=False):
    return {"name": name, "security": security, "held": held}


def judged(updates=(), *, age_seconds=0.0, error=None, **limits):
    chosen = {"pending": {}, "security": {"warning": 1}, "index_age_days": {"warning": 8}, **limits}
    measured = {"updates": list(updates), "index_age_seconds": age_seconds}
    checks = judge_updates(measured, refresh_error=error, section="Updates", **chosen)
    return {check["id"].partition(":")[2]: check for check in checks}


def test_debian_12_tells_versions_origin_and_what_is_held():
    found = parse_simulation(read("debian12_held"), ["openssl"])
    assert found["updates"] == [
        {
            "name": "libssl3",
            "installed": "3.0.20-1~deb12u2",
            "available": "3.0.22-1~deb12u2",
            "origins": ["Debian-Security:12/oldstable-security"],
            "security": True,
            "held": False,
        },
        {
            "name": "openssl",
            "installed": "3.0.20-1~deb12u2",
            "available": "3.0.22-1~deb12u2",
            "origins": ["Debian-Security:12/oldstable-security"],
            "security": True,
            "held": True,
        },
    ]
    assert found["new"] == found["removed"] == []


def test_debian_13_tells_the_same_and_security_comes_first():
    updates = parse_simulation(read("debian13_upgrade"))["updates"]
    assert len(updates) == 13
    assert [item["name"] for item in updates if not item["security"]] == ["tzdata"]
    assert updates[-1]["origins"] == ["Debian:13-updates/stable-updates"]
    assert updates[0]["name"] == "apt"
    brackets = next(item for item in updates if item["name"] == "curl")  # its line ends in "[]"
    assert brackets["available"] == "8.14.1-2+deb13u7"


def test_a_package_that_is_new_is_no_update():
    found = parse_simulation(read("debian13_kernel"))
    assert found["updates"] == []
    assert "linux-image-6.12.117+deb13-cloud-amd64" in found["new"]


def test_a_package_that_would_go_is_named():
    text = "Remv libfoo1 [1.0-1]\nPurg bar [2.0]\nInst libfoo2 (2.0-1 Debian:12.15/oldstable [amd64])\n"
    found = parse_simulation(text)
    assert (found["removed"], found["new"], found["updates"]) == (["bar", "libfoo1"], ["libfoo2"], [])


@pytest.mark.parametrize(
    ("line", "origins", "security"),
    [
        pytest.param(
            "Inst a [1] (2 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [all])",
            ["Debian:12.15/oldstable", "Debian-Security:12/oldstable-security"],
            True,
            id="two origins",
        ),
        pytest.param(
            "Inst a [1] (2 Ubuntu:24.04/noble-security [amd64])", ["Ubuntu:24.04/noble-security"], True, id="Ubuntu"
        ),
        pytest.param("Inst a [1] (2 My Own Repo:1/x [amd64])", ["My Own Repo:1/x"], False, id="a label with spaces"),
        pytest.param("Inst a [1] (2 localhost [amd64])", ["localhost"], False, id="no release file"),
        pytest.param("Inst a [1] (2 [amd64])", [], False, id="no origin"),
        pytest.param("Inst a:i386 [1] (2 . stable:stable [i386]) [b:amd64 ]", [". stable:stable"], False, id="broken"),
    ],
)
def test_origins_are_read_whatever_they_are_called(line, origins, security):
    (found,) = parse_simulation(line)["updates"]
    assert (found["origins"], found["security"]) == (origins, security)


def test_a_name_that_merely_holds_the_word_is_no_security_origin():
    assert not is_security("security-tools:1/stable")


def test_nothing_to_do_is_an_empty_list():
    assert parse_simulation("0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n")["updates"] == []


@pytest.mark.parametrize(
    ("running", "installed", "newest"),
    [
        pytest.param("6.1.0-9-amd64", ["6.1.0-9-amd64", "6.1.0-10-amd64"], "6.1.0-10-amd64", id="numbers, not letters"),
        pytest.param(
            "6.12.48+deb13-cloud-amd64",
            ["6.12.117+deb13-cloud-amd64", "6.13.1+deb13-amd64", "6.12.48+deb13-cloud-amd64"],
            "6.12.117+deb13-cloud-amd64",
            id="of its own flavour",
        ),
        pytest.param("5.15.0-91-generic", ["5.15.0-101-generic"], "5.15.0-101-generic", id="Ubuntu"),
        pytest.param("6.18.44-custom", ["6.1.0-9-amd64"], None, id="a kernel from elsewhere"),
        pytest.param("6.1.0-9-amd64", [], None, id="none installed"),
    ],
)
def test_the_newest_kernel_is_that_of_the_running_flavour(running, installed, newest):
    assert newest_kernel(running, installed) == newest


def test_the_same_kernel_is_not_newer():
    assert not is_newer("6.1.0-9-amd64", "6.1.0-9-amd64")


def test_security_updates_warn_and_others_only_where_a_limit_is_given():
    checks = judged([update("a"), update("b", security=True, held=True)])
    assert {key: check["status"] for key, check in checks.items()} == {
        "security": "warning",
        "pending": "ok",
        "index": "ok",
    }
    assert checks["security"]["detail"] == "b (held)"
    assert judged([update("a")], pending={"critical": 1})["pending"]["status"] == "critical"


def test_a_long_list_is_cut():
    assert judged([update(f"p{n}") for n in range(9)])["pending"]["detail"] == "p0, p1, p2, p3, p4 and 4 more"


@pytest.mark.parametrize(
    ("age_seconds", "error", "status", "detail"),
    [
        pytest.param(3_600, None, "ok", "refreshed 1h ago", id="fresh"),
        pytest.param(9 * 86_400, None, "warning", "refreshed 9d ago", id="old"),
        pytest.param(None, None, "warning", "there is none: pending updates cannot be known", id="none"),
        pytest.param(
            3_600, "no\n mirror: ", "warning", "cannot be refreshed (no mirror); refreshed 1h ago", id="unreachable"
        ),
    ],
)
def test_the_age_of_the_index_is_judged(age_seconds, error, status, detail):
    check = judged(age_seconds=age_seconds, error=error)["index"]
    assert (check["status"], check["detail"]) == (status, detail)


@pytest.mark.parametrize(
    ("measured", "status", "detail"),
    [
        pytest.param({}, "ok", "none pending", id="nothing"),
        pytest.param(
            {"required": True, "packages": ["libc6", "linux-base"]},
            "warning",
            "asked for by libc6, linux-base",
            id="asked for",
        ),
        pytest.param({"required": True}, "warning", "asked for by a package", id="asked for by nobody in particular"),
        pytest.param(
            {"newest_kernel": "6.1.0-10-amd64"},
            "warning",
            "kernel 6.1.0-9-amd64 runs, 6.1.0-10-amd64 is installed",
            id="a kernel waits",
        ),
        pytest.param({"newest_kernel": "6.1.0-9-amd64"}, "ok", "none pending", id="the newest kernel runs"),
        pytest.param({"newest_kernel": "6.1.0-8-amd64"}, "ok", "none pending", id="an older one is installed"),
    ],
)
def test_a_pending_reboot_says_why(measured, status, detail):
    nothing = {"required": False, "packages": [], "running_kernel": "6.1.0-9-amd64", "newest_kernel": None}
    check = judge_reboot({**nothing, **measured}, section="Updates")
    assert (check["status"], check["detail"]) == (status, detail)
