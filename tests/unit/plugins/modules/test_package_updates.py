# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module installs what it predicts, touches nothing in check mode, and tells what was done before a failure."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._apt_install import AptError, policy
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.modules import package_updates

LINE = "Inst {} [1] (2 Debian-Security:12/stable-security [all])"


class FakeApt:
    """Stands for apt: two security updates, the second of which may fail."""

    def __init__(self, *, fails=False, cut_off=False, besides=""):
        self.pending, self.fails, self.cut_off, self.besides, self.done = ["a", "b"], fails, cut_off, besides, []
        self.lost = []

    def get(self, *arguments):
        assert "--simulate" in arguments
        if self.done and self.fails:
            raise CommandError("apt-get --simulate failed (100): unmet dependencies")
        return "\n".join([*map(LINE.format, self.pending), self.besides if "install" in arguments else ""])

    def mark(self, *_arguments):
        return "kept\n"

    def versions(self):
        there = {name: {"1" if name in self.pending else "2"} for name in ("a", "b")}
        return {**there, "needed": {"1"}} if self.done else there

    def lost_marks(self):
        return self.lost

    def restore_marks(self):
        self.done.append("marks")
        self.lost = []

    def cache(self, *_arguments):
        return "a | 1 | archive\n"

    def is_cut_off(self):
        return self.cut_off

    def configure(self, *, lock_timeout_seconds):
        assert lock_timeout_seconds == 60
        self.policy = (self.root / "usr/sbin/policy-rc.d").exists()
        self.done.append("configure")
        self.cut_off = False

    def install(self, arguments, *, limit):
        assert limit == 3600
        self.policy = (self.root / "usr/sbin/policy-rc.d").exists()
        self.done.append(arguments[-2:])
        self.pending = ["b"] if self.fails else []
        if self.fails:
            raise CommandError("apt-get install failed (100): b is broken", rc=100)


def run(apt, root, *, check_mode=False, **more):
    (root / "usr/sbin").mkdir(parents=True, exist_ok=True)
    apt.root = root
    params = {name: option.get("default") for name, option in package_updates.ARGUMENTS.items()}
    params.update({"free_bytes": 0, "hold_services": ["nginx"], **more})
    return package_updates.run(params, apt=apt, root=root, check_mode=check_mode, pid=1, clock=lambda: 0.0)


def test_what_is_done_was_predicted_and_a_second_run_finds_nothing(tmp_path):
    apt = FakeApt()
    predicted = run(apt, tmp_path, check_mode=True)
    assert apt.done == []
    done = run(apt, tmp_path)
    assert apt.done == [["a=2", "b=2"]]
    assert predicted["actions"] == done["actions"]
    assert predicted["diff"] == done["diff"]
    assert [change["before"] for change in done["changes"]] == ["1", "1"]
    assert done["way_back"] == {"command": "apt-get install --allow-downgrades a=1", "missing": ["b=1"]}
    again = run(apt, tmp_path)
    assert (again["changed"], again["changes"]) == (False, [])


def test_packages_leave_the_services_alone_meanwhile_and_only_then(tmp_path):
    apt = FakeApt()
    run(apt, tmp_path)
    assert apt.policy
    assert not (tmp_path / "usr/sbin/policy-rc.d").exists()


def test_a_policy_of_somebody_else_stays(tmp_path):
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    run(FakeApt(), tmp_path)
    assert (tmp_path / "usr/sbin/policy-rc.d").read_text() == "#!/bin/sh\nexit 101\n"


@pytest.mark.parametrize("check_mode", [True, False], ids=["predicted", "done"])
def test_what_a_killed_run_left_goes_though_nothing_is_pending(tmp_path, check_mode):
    apt, path = FakeApt(), tmp_path / "usr/sbin/policy-rc.d"
    apt.pending = []
    path.parent.mkdir(parents=True)
    path.write_text(policy(["nginx"], 1 << 30, "7"))
    run(apt, tmp_path, check_mode=check_mode)
    assert path.exists() is check_mode


def test_a_failure_tells_which_packages_were_done_by_then_though_apt_cannot_any_more(tmp_path):
    besides = "Inst needed (1 Debian:12/stable [all])\nInst late (1 Debian:12/stable [all])"
    with pytest.raises(CommandError) as caught:
        run(FakeApt(fails=True, besides=besides), tmp_path)
    assert [change["thing"] for change in caught.value.details["changes"]] == ["package a", "package needed"]
    assert not (tmp_path / "usr/sbin/policy-rc.d").exists()


def test_what_was_cut_off_is_finished_first(tmp_path):
    apt = FakeApt(cut_off=True)
    predicted = run(apt, tmp_path, check_mode=True)
    done = run(apt, tmp_path)
    assert predicted["actions"] == done["actions"]
    assert apt.done == ["configure", ["a=2", "b=2"]]


def test_marks_that_a_killed_run_has_lost_come_back_where_nothing_is_left_to_install(tmp_path):
    apt = FakeApt()
    apt.pending, apt.lost = [], ["libc"]
    predicted = run(apt, tmp_path, check_mode=True)
    assert apt.done == []
    done = run(apt, tmp_path)
    assert predicted["actions"] == done["actions"] == ["apt-mark auto libc"]
    assert (apt.done, done["changed"]) == (["marks"], True)
    assert run(apt, tmp_path)["changed"] is False


def test_a_removal_is_refused_before_anything_is_done(tmp_path):
    apt = FakeApt(besides="Remv mariadb [10]")
    with pytest.raises(AptError, match="would remove mariadb"):
        run(apt, tmp_path)
    assert apt.done == []


def test_what_is_excluded_is_not_updated_because_another_package_needs_it(tmp_path):
    apt = FakeApt(besides="Inst postgresql-15 [1] (2 Debian:12/stable [all])")
    with pytest.raises(AptError, match="need postgresql-15, which is excluded"):
        run(apt, tmp_path, exclude=["postgresql-*"])
    assert apt.done == []


def test_services_are_left_alone_while_what_was_cut_off_is_finished(tmp_path):
    apt = FakeApt(cut_off=True)
    apt.pending = []
    run(apt, tmp_path)
    assert (apt.done, apt.policy) == (["configure"], True)
    assert not (tmp_path / "usr/sbin/policy-rc.d").exists()


@pytest.mark.parametrize("check_mode", [True, False], ids=["predicted", "done"])
@pytest.mark.parametrize(
    ("given", "says"),
    [({"free_bytes": 1 << 62}, "are free"), ({"hold_services": ["nginx; rm"]}, "is no name of a unit")],
    ids=["too little room", "a name that is none"],
)
def test_what_will_be_refused_is_refused_in_a_prediction_too(tmp_path, check_mode, given, says):
    apt = FakeApt()
    with pytest.raises(AptError, match=says):
        run(apt, tmp_path, check_mode=check_mode, **given)
    assert apt.done == []


def test_configuration_that_lies_beside_the_hosts_own_warns_until_somebody_has_looked(tmp_path):
    (tmp_path / "etc/nginx").mkdir(parents=True)
    (tmp_path / "etc/nginx/nginx.conf.dpkg-dist").touch()
    check = run(FakeApt(), tmp_path, check_mode=True)["checks"][2]
    assert (check["status"], check["detail"]) == ("warning", "/etc/nginx/nginx.conf.dpkg-dist")
