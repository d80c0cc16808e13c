# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which updates are installed, which are left out, and how to get back."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._apt_host import started
from ansible_collections.runbook.ops.plugins.module_utils._apt_install import (
    AptError,
    as_change,
    choose,
    command,
    judge,
    parse_versions,
    policy,
    refuse,
    way_back,
)

MADISON = """\
   openssl | 3.0.17-1~deb12u2 | http://mirror.example/debian bookworm/main amd64 Packages
   openssl | 3.0.17-1~deb12u3 | http://security.example bookworm-security/main amd64 Packages
     nginx | 1.22.1-9 | http://mirror.example/debian bookworm/main amd64 Packages
"""


def update(name, *, security=True, held=False, installed="1", available="2"):
    return {
        "name": name,
        "installed": installed,
        "available": available,
        "origins": [],
        "security": security,
        "held": held,
    }


UPDATES = [update("a"), update("b", held=True), update("postgresql-15"), update("plain", security=False)]


def names(found):
    return {key: [one["name"] for one in value] for key, value in found.items()}


def test_only_security_updates_are_chosen_and_holds_stay():
    found = choose(UPDATES, select="security", exclude=["postgresql-*"])
    assert names(found) == {"wanted": ["a"], "held": ["b"], "excluded": ["postgresql-15"]}


def test_all_updates_are_all_but_those_on_hold():
    found = choose(UPDATES, select="all", exclude=[])
    assert names(found) == {"wanted": ["a", "postgresql-15", "plain"], "held": ["b"], "excluded": []}


def test_exactly_what_was_looked_at_is_installed_and_nothing_is_removed_or_asked():
    line = command([update("a"), update("libc6:i386", available="2.36-9+deb12u13")], lock_timeout_seconds=60)
    assert line[-2:] == ["a=2", "libc6:i386=2.36-9+deb12u13"]
    assert {"--yes", "--only-upgrade", "--no-remove", "Dpkg::Options::=--force-confold"} <= set(line)
    assert "--simulate" in command([update("a")], lock_timeout_seconds=60, simulate=True)


@pytest.mark.parametrize(
    ("simulated", "says"),
    [
        pytest.param({"removed": ["mariadb"], "updates": []}, "would remove mariadb", id="a removal"),
        pytest.param({"removed": [], "updates": [update("b")]}, "would change b, which is on hold", id="a hold"),
    ],
)
def test_what_goes_beyond_updates_is_refused(simulated, says):
    with pytest.raises(AptError, match=says):
        refuse(simulated, ["b"])


def test_the_way_back_names_what_an_archive_has_and_what_none_has():
    versions = parse_versions(MADISON)
    found = way_back([update("openssl", installed="3.0.17-1~deb12u2"), update("nginx", installed="1.22.1-8")], versions)
    assert found == {
        "command": "apt-get install --allow-downgrades openssl=3.0.17-1~deb12u2",
        "missing": ["nginx=1.22.1-8"],
    }
    assert way_back([], {}) == {"command": None, "missing": []}


def test_a_record_says_both_versions_and_the_way_back():
    change = as_change(update("a"), [])
    assert (change["before"], change["after"]) == ("1", "2")
    assert change["reason"] == "security update; way back: apt-get install --allow-downgrades a=1"
    assert "no archive has the old version" in as_change(update("a"), ["a=1"])["reason"]


def test_a_security_update_that_is_left_out_warns_and_an_ordinary_one_does_not():
    nothing = {"command": None, "missing": []}
    found = {"held": [update("b")], "excluded": []}
    assert judge(found, nothing, [], "security")[0]["status"] == "warning"
    found = {"held": [update("b", security=False)], "excluded": []}
    assert judge(found, nothing, [], "all")[0]["status"] == "ok"


@pytest.fixture
def asked(tmp_path):
    """Return how to ask a policy on some units, and the process that it is for."""
    process = subprocess.Popen(["sleep", "60"])
    script = tmp_path / "policy-rc.d"

    def ask(units, unit, began=None):
        script.write_text(policy(units, process.pid, began or started(process.pid)))
        return subprocess.run(["sh", str(script), unit, "restart"], check=False, capture_output=True)

    yield ask, process
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("units", "unit", "code"),
    [
        (["nginx.service"], "nginx", 101),
        (["nginx.service"], "nginx.service", 101),
        (["nginx.service"], "cron", 0),
        (["nginx.service"], "nginx-extra", 0),
        (["postgresql.service", "postgresql@*.service"], "postgresql", 101),
        (["postgresql.service", "postgresql@*.service"], "postgresql@15-*", 101),
        (["postgresql@15-main"], "postgresql", 101),
        (["postgresql"], "postgresql@15-*", 101),
    ],
)
def test_packages_may_not_touch_the_services_named(asked, units, unit, code):
    found = asked[0](units, unit)
    assert (found.returncode, found.stderr) == (code, b"")


def test_a_policy_is_void_once_its_process_has_ended_whoever_has_its_number_then(asked):
    ask, process = asked
    assert ask(["nginx"], "nginx", began="1").returncode == 0
    began = started(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert ask(["nginx"], "nginx", began).returncode == 0, "nobody has asked for its end yet"
    process.wait()
    found = ask(["nginx"], "nginx", began)
    assert (found.returncode, found.stderr) == (0, b"")


def test_a_name_of_a_unit_cannot_carry_a_command():
    with pytest.raises(AptError, match="no name of a unit"):
        policy(["nginx; rm -rf /"], 1, "0")
